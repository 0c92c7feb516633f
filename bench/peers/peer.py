"""What each memory under comparison is asked to do. The peers' environments read it: it imports nothing."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final, Protocol

HITS: Final = 10
PAGE: Final = 20
DIMENSIONS: Final = 256


class Operation(StrEnum):
    GET = "get"
    LIST = "list"
    SEARCH = "search"
    CONTEXT = "context"
    ADD = "add"
    TURN = "turn"
    TURN_WITHOUT = "turn_without"
    """The same turn of the same agent, that has no memory."""
    ECHO = "echo"
    """A call that does nothing, by the library that memsvc's client calls with; only of memsvc."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a peer keeps its data, and whom it asks."""

    folder: Path
    model_url: str
    postgres_url: str = ""
    """Empty: it keeps its data in the folder."""
    target: str = ""
    """The address of memsvc."""
    echo_target: str = ""


class Peer(Protocol):
    """One memory, on one database. Called from one thread, but for `add`: from several, each for a user of its own."""

    durability: str
    """What has happened when `add` returns."""

    def fill(self, user: str, texts: Sequence[str]) -> Sequence[str]:
        """Add texts by the fastest way there is; return their ids."""

    def get(self, user: str, memory_id: str) -> str:
        """Return the text of one memory."""

    def list(self, user: str) -> Sequence[str]:
        """Return 20 texts."""

    def search(self, user: str, query: str) -> Sequence[str]:
        """Return the 10 texts that fit best, as far as the peer can tell."""

    def context(self, user: str, query: str) -> str:
        """Return what an agent puts into its prompt."""

    def add(self, user: str, text: str) -> str:
        """Add one memory, without a model; return its id."""

    def remove(self, user: str, memory_ids: Sequence[str]) -> None: ...

    def turn(self, user: str, said: str) -> None:
        """Run a turn of an agent: it is shown what is known, answers, and what was said is learned or put away."""

    def turn_without(self, user: str, said: str) -> None: ...

    def settle(self, user: str) -> None:
        """Wait until nothing goes on in the background."""


def embed(text: str) -> list[float]:
    """Return a vector that costs next to nothing: texts that share words are near to each other.

    Every peer that needs vectors gets these, in its own process.
    """
    vector = [0.0] * DIMENSIONS
    for word in text.lower().split():
        vector[zlib.crc32(word.encode()) % DIMENSIONS] += 1.0
    return vector
