"""Pattern files: their form, and what is wrong with one that does not keep to it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from memsvc.extraction.engine import Action
from memsvc.model import Layer, Polarity, Trust

SLOT: Final = re.compile(r"\{(\w+)(?:\|(\w+))?\}")
"""A slot in a text: `{role}`, or `{role|a}` with an article."""


class PatternError(ValueError):
    """A pattern file is wrong: names the file and the entry."""


class Fact(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """What a pattern learns; see the head of `english/10_person.toml`."""

    text: str = ""
    action: Action = Action.ADD
    layer: Layer = Layer.KNOWLEDGE
    key: str = ""
    value: str = ""
    topics: tuple[str, ...] = ()
    polarity: Polarity = Polarity.NONE
    trust: Trust = Trust.STATED
    since: str = ""
    """The slot that says since when it is so."""
    until: str = ""
    """The slot that says until when it was so, or since when it is no longer so."""

    @property
    def slots(self) -> frozenset[str]:
        return frozenset(name for name, _ in SLOT.findall(f"{self.text} {self.key} {self.value}")) - {"whole"}


class PatternEntry(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """One [[pattern]] of a file."""

    name: str
    say: tuple[str, ...]
    facts: tuple[Fact, ...]
    fires: dict[str, str] = {}
    """Sentences that it must read, each with the text that it must learn."""
    silent: tuple[str, ...] = ()
    """Sentences that look alike, of which nothing at all may be learned."""


class Subject(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """One [[subject]] of a file: what the user may ask to be forgotten, by the words for it."""

    words: str
    layer: Layer = Layer.PROFILE
    keys: tuple[str, ...] = ()
    topics: tuple[str, ...] = ()


class Question(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """One [[question]] of a file: a few words that answer it say the same as the statement."""

    asks: tuple[str, ...]
    states: str


REACHES: Final = ("rest", "always", "private", "taken_back", "over")


class Frame(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """One [[frame]] of a file: words after which the user does not speak of themselves; see `framing.py`."""

    reach: str
    say: tuple[str, ...]
    fires: tuple[str, ...] = ()
    silent: tuple[str, ...] = ()


class PatternFile(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """A file of patterns, word lists or both."""

    lexicon: dict[str, str] = {}
    canonical: dict[str, dict[str, str]] = {}
    """By word list: what is said to what is kept (`concisely` to `concise`)."""
    pattern: tuple[PatternEntry, ...] = ()
    subject: tuple[Subject, ...] = ()
    question: tuple[Question, ...] = ()
    frame: tuple[Frame, ...] = ()


def read_file(path: Path) -> PatternFile:
    """Return what a pattern file holds. Raises PatternError."""
    import tomllib

    try:
        document = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise PatternError(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise PatternError(f"{path.name} is no text in UTF-8") from error
    except tomllib.TOMLDecodeError as error:
        raise PatternError(f"{path.name}: {error}") from error
    try:
        file = msgspec.convert(document, PatternFile)
    except msgspec.ValidationError as error:
        raise PatternError(f"{path.name}: {_entry_named_in(str(error), document)}{error}") from error
    for entry in file.pattern:
        for fact in entry.facts:
            if fact.action is Action.ADD and not fact.text:
                raise PatternError(f"{path.name}: pattern {entry.name!r}: a fact without text")
            if fact.action is not Action.ADD and not fact.key:
                raise PatternError(f"{path.name}: pattern {entry.name!r}: a fact that deletes without a key")
            for name in filter(None, (fact.since, fact.until)):
                if not any(re.search(rf"<{name}[:>]", say) for say in entry.say):
                    raise PatternError(f"{path.name}: pattern {entry.name!r}: a fact is dated by {name!r}, no slot")
    return file


def _entry_named_in(error: str, document: Mapping[str, object]) -> str:
    """Return the name of the entry that a validation error is about, of which msgspec tells only the number."""
    match = re.search(r"\$\.(pattern|subject)\[(\d+)\]", error)
    entries = document.get(match[1]) if match else None
    if match is None or not isinstance(entries, list):
        return ""
    entry = entries[int(match[2])]
    name = entry.get("name", match[2]) if isinstance(entry, dict) else match[2]
    return f"{match[1]} {name!r}: "
