"""The contract of a language model that answers one question with one JSON object, beside what it learns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

from msgspec import Struct

from memsvc.model import Usage


class Question(Struct, frozen=True):
    """What a model is asked. Everything in it is bounded by whoever asks."""

    name: str
    """Of the form of its answer: letters and underscores."""
    instructions: str
    """What does not change from call to call: providers cache a prompt by its beginning."""
    material: str
    """What it is about, escaped: no text in it can close a tag."""
    form: Mapping[str, Any]
    """The fields of the answer by name, each as JSON Schema has it; all of them are required."""
    last_failure: str = ""
    """Why the attempt before had no effect, a word of `errors.Reason`; empty: this is the first."""


class Answered(Struct, frozen=True):
    """What a model answered, unchecked: its fields are what the question asked for only if it kept to it."""

    fields: Mapping[str, Any]
    usage: Usage
    model: str


@runtime_checkable
class Asker(Protocol):
    """Asks a model. Shared by all tasks of a process."""

    async def ask(self, question: Question) -> Answered:
        """Return the answer. Raises ExtractionError, with what it cost, where there is none that can be used."""
        ...
