"""Pattern files: their form, and what is wrong with one that does not keep to it."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from memsvc.extraction.engine import Action
from memsvc.extraction.rules.lexicon import Lexicon
from memsvc.extraction.rules.phrases import Phrases
from memsvc.extraction.rules.say import Listed, named_parts, parse
from memsvc.model import Layer, Polarity, Trust

SLOT: Final = re.compile(r"\{(\w+)(?:\|(\w+))?\}")
"""A slot in a text: `{role}`, or `{role|a}` with an article."""


class PatternError(ValueError):
    """A pattern file is wrong: names the file and the entry."""


class Fact(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """What a pattern learns; see the head of `english/10_profile.toml`."""

    text: str = ""
    action: Action = Action.ADD
    layer: Layer = Layer.KNOWLEDGE
    key: str = ""
    value: str = ""
    topics: tuple[str, ...] = ()
    polarity: Polarity = Polarity.NONE
    trust: Trust = Trust.STATED
    needs: tuple[str, ...] = ()
    """Slots that must be filled although the text does not show them."""
    without: tuple[str, ...] = ()
    """Slots that must not be there."""

    @property
    def slots(self) -> frozenset[str]:
        return frozenset(name for name, _ in SLOT.findall(f"{self.text} {self.key} {self.value}"))


class PatternEntry(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """One [[pattern]] of a file."""

    name: str
    say: tuple[str, ...]
    facts: tuple[Fact, ...]
    more: bool = False


class Subject(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """One [[subject]] of a file: what the user may ask to be forgotten, by the words for it."""

    words: str
    layer: Layer = Layer.PROFILE
    keys: tuple[str, ...] = ()
    topics: tuple[str, ...] = ()


class PatternFile(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """A file of patterns, word lists or both."""

    lexicon: dict[str, str] = {}
    canonical: dict[str, dict[str, str]] = {}
    """By kind or word list: what is said to what is kept (`concisely` to `concise`)."""
    pattern: tuple[PatternEntry, ...] = ()
    subject: tuple[Subject, ...] = ()


def read_file(path: Path) -> PatternFile:
    """Return what a pattern file holds. Raises PatternError."""
    try:
        document = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise PatternError(f"{path.name}: {error}") from error
    try:
        return msgspec.convert(document, PatternFile)
    except msgspec.ValidationError as error:
        raise PatternError(f"{path.name}: {_entry_named_in(str(error), document)}{error}") from error


def check_file(path: Path, file: PatternFile, lexicon: Lexicon) -> None:
    """Raise PatternError for the first entry that cannot work."""
    phrases = Phrases(lexicon, {})
    for entry in file.pattern:
        flaw = _flaw(entry, lexicon, phrases)
        if flaw:
            raise PatternError(f"{path.name}: pattern {entry.name!r}: {flaw}")


def _flaw(entry: PatternEntry, lexicon: Lexicon, phrases: Phrases) -> str:
    slots = {"whole"}
    for say in entry.say:
        try:
            parts = parse(say)
        except ValueError as error:
            return f"{say!r}: {error}"
        if not parts:
            return "an empty say"
        for part in named_parts(parts):
            if isinstance(part, Listed):
                if part.lexicon not in lexicon:
                    return f"{say!r}: no word list {part.lexicon!r}"
            elif not phrases.knows(part.kind):
                return f"{say!r}: no kind {part.kind!r}"
            else:
                slots.add(part.name)
    for fact in entry.facts:
        unknown = (fact.slots | {*fact.needs, *fact.without}) - slots
        if unknown:
            return f"{fact.text!r}: no slot {min(unknown)!r}"
        if fact.action is Action.ADD and not fact.text:
            return "a fact without text"
        if fact.action is not Action.ADD and not fact.key:
            return "a fact that deletes without a key"
    return ""


def _entry_named_in(error: str, document: Mapping[str, object]) -> str:
    """Return the name of the entry that a validation error is about, of which msgspec tells only the number."""
    match = re.search(r"\$\.(pattern|subject)\[(\d+)\]", error)
    entries = document.get(match[1]) if match else None
    if match is None or not isinstance(entries, list):
        return ""
    entry = entries[int(match[2])]
    name = entry.get("name", match[2]) if isinstance(entry, dict) else match[2]
    return f"{match[1]} {name!r}: "
