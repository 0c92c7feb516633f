"""Patterns: read from data files, matched against clauses.

The language of `say` is described at the head of `english/10_profile.toml`. A pattern is compiled to a chain of parts
that is walked over the tokens: no regular expressions, so no input can make it explode.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from memsvc.extraction.engine import Action
from memsvc.extraction.rules.lexicon import Lexicon, entries_of
from memsvc.extraction.rules.phrases import Phrases
from memsvc.model import Layer, Polarity, Trust

ENGLISH_FOLDER: Final = Path(__file__).with_name("english")


class PatternError(ValueError):
    """A pattern file is wrong: names the file and the entry."""


class Fact(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """What a pattern learns; see the head of the first pattern file."""

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
    """Slots that must not be filled."""

    @property
    def slots(self) -> frozenset[str]:
        return frozenset(name for name, _ in SLOT.findall(self.text + self.key + self.value))


class PatternEntry(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """One [[pattern]] of a file."""

    name: str
    say: tuple[str, ...]
    facts: tuple[Fact, ...]
    more: bool = False


class Subject(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """One [[subject]] of a file: what the user may ask to be forgotten or updated, by the words for it."""

    words: str
    layer: Layer = Layer.PROFILE
    keys: tuple[str, ...] = ()
    topics: tuple[str, ...] = ()


class PatternFile(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """A file of patterns, word lists or both."""

    lexicon: dict[str, str] = {}
    canonical: dict[str, dict[str, str]] = {}
    """By kind or word list: what is said to what is kept (`concisely` to `concise`, `javascript` to `JavaScript`)."""
    pattern: tuple[PatternEntry, ...] = ()
    subject: tuple[Subject, ...] = ()


SLOT: Final = re.compile(r"\{(\w+)(?:\|(\w+))?\}")
"""A slot in a text: `{role}`, or `{role|a}` with an article."""


class Words(msgspec.Struct, frozen=True, gc=False):
    """One of several word sequences, or, when optional, nothing."""

    alternatives: tuple[tuple[Part, ...], ...]
    optional: bool


class Slot(msgspec.Struct, frozen=True, gc=False):
    name: str
    kind: str


class Listed(msgspec.Struct, frozen=True, gc=False):
    """An entry of a word list that is matched, but not kept."""

    lexicon: str


Part = str | Words | Slot | Listed


class Pattern(msgspec.Struct, frozen=True, gc=False):
    """One `say` of an entry, ready to match."""

    order: int
    entry: PatternEntry
    parts: tuple[Part, ...]
    kinds: Mapping[str, str]
    """Of its slots."""
    required: frozenset[str]
    """The slots outside brackets: what cannot be read there makes the pattern say nothing."""


Span = tuple[int, int]
_COUNTS: Final = frozenset("two three four five six seven eight nine ten twenty thirty many several".split())
_MAX_SLOT_TOKENS: Final = 14


class PatternBook:
    """All patterns, found by how a clause begins."""

    def __init__(self, files: Sequence[PatternFile], lexicon: Lexicon) -> None:
        self.lexicon = lexicon
        self.canonical = {name: words for file in files for name, words in file.canonical.items()}
        self.subjects = tuple(subject for file in files for subject in file.subject)
        self._by_head: dict[tuple[str, str], list[Pattern]] = {}
        order = 0
        for file in files:
            for entry in file.pattern:
                for say in entry.say:
                    parts = parse(say)
                    kinds = {slot.name: slot.kind for slot in _all_slots(parts) if isinstance(slot, Slot)}
                    pattern = Pattern(order, entry, parts, kinds, frozenset(part.name for part in parts if isinstance(part, Slot)))
                    for head in _heads(pattern.parts, lexicon):
                        self._by_head.setdefault(head, []).append(pattern)
                    order += 1

    def candidates(self, words: Sequence[str]) -> Iterator[Pattern]:
        """Yield the patterns that a clause with these words may match, in the order of the files."""
        first, second = words[0], words[1] if len(words) > 1 else ""
        found: dict[int, Pattern] = {}
        for head in ((first, second), (first, ""), ("", "")):
            for pattern in self._by_head.get(head, ()):
                found[pattern.order] = pattern
        for order in sorted(found):
            yield found[order]

    def matches(self, pattern: Pattern, words: Sequence[str]) -> Iterator[Mapping[str, Span]]:
        """Yield where the slots of a pattern may be in a clause: shortest first."""
        yield from self._walk(pattern.parts, words, 0, {}, after_slot=False)

    def _walk(
        self, parts: tuple[Part, ...], words: Sequence[str], at: int, spans: Mapping[str, Span], *, after_slot: bool
    ) -> Iterator[Mapping[str, Span]]:
        if not parts:
            if at == len(words) or (not after_slot and self._may_follow(words[at])):
                yield spans
            return
        part, rest = parts[0], parts[1:]
        if isinstance(part, str):
            if at < len(words) and words[at] == part:
                yield from self._walk(rest, words, at + 1, spans, after_slot=False)
        elif isinstance(part, Listed):
            count = self.lexicon.longest(part.lexicon, words, at)
            if count:
                yield from self._walk(rest, words, at + count, spans, after_slot=False)
        elif isinstance(part, Slot):
            for end in self._ends(part, rest, words, at):
                yield from self._walk(rest, words, end, {**spans, part.name: (at, end)}, after_slot=True)
        else:
            for alternative in part.alternatives:
                yield from self._walk((*alternative, *rest), words, at, spans, after_slot=False)
            if part.optional:
                yield from self._walk(rest, words, at, spans, after_slot=after_slot)

    def _ends(self, slot: Slot, rest: tuple[Part, ...], words: Sequence[str], at: int) -> Sequence[int]:
        """Return where a slot may end: bounded, so that no clause takes more than a constant number of steps."""
        if at >= len(words):
            return ()
        if slot.kind[0] == "@" and rest:
            ends = [at + count for count in range(self.lexicon.longest(slot.kind[1:], words, at), 0, -1)]
            return [*ends, len(words)] if ends and not _needs_more(rest) else ends
        return (*range(at + 1, min(at + _MAX_SLOT_TOKENS, len(words))), len(words)) if rest else (len(words),)

    def _may_follow(self, word: str) -> bool:
        """Tell whether a clause may go on with `word` after the last word of a pattern and still say the same."""
        return (
            not word[0].isalnum()
            or word in self.lexicon.words("stops")
            or word in self.lexicon.words("prepositions")
            or word in self.lexicon.words("trailing")
            or word in self.lexicon.words("time_words")
            or word in _COUNTS
        )


def load_book(extra: Path | None = None) -> PatternBook:
    """Return the patterns of this package and of a file of the user's own.

    Raises PatternError, naming file and entry, for what is wrong in that file.
    """
    # The user's patterns come before the ones here: the first that learns something wins.
    paths = [*([extra] if extra else []), *sorted(ENGLISH_FOLDER.glob("*.toml"))]
    files = [read_file(path) for path in paths]
    lists: dict[str, list[str]] = {}
    for file in files:
        for name, text in file.lexicon.items():
            lists.setdefault(name, []).extend(entries_of(text))
    lexicon = Lexicon(lists)
    if extra:
        check_file(extra, files[0], lexicon)
    return PatternBook(files, lexicon)


def read_file(path: Path) -> PatternFile:
    """Return what a pattern file holds. Raises PatternError."""
    try:
        document = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise PatternError(f"{path.name}: {error}") from error
    try:
        return msgspec.convert(document, PatternFile)
    except msgspec.ValidationError as error:
        raise PatternError(f"{path.name}: {_place_of(str(error), document)}{error}") from error


def parse(say: str) -> tuple[Part, ...]:
    """Compile one `say`. Raises ValueError when brackets do not match."""
    tokens = _LEXEME.findall(say)
    parts, rest = _sequence(tokens, 0, "")
    if rest != len(tokens):
        raise ValueError(f"unmatched {tokens[rest]!r}")
    return parts


_LEXEME: Final = re.compile(r"<[^<>]*>|[()\[\]|]|[^\s()\[\]|<>]+")
_SLOT_FORM: Final = re.compile(r"<(\w+)(?::([@~^]?\w+))?>")


def _sequence(tokens: Sequence[str], at: int, closer: str) -> tuple[tuple[Part, ...], int]:
    parts: list[Part] = []
    while at < len(tokens) and tokens[at] not in ("|", ")", "]"):
        token = tokens[at]
        if token in ("(", "["):
            end = ")" if token == "(" else "]"
            alternatives: list[tuple[Part, ...]] = []
            while token != end:
                alternative, at = _sequence(tokens, at + 1, end)
                alternatives.append(alternative)
                if at == len(tokens) or tokens[at] not in ("|", end):
                    raise ValueError(f"{end!r} is missing")
                token = tokens[at]
            parts.append(Words(tuple(alternatives), end == "]"))
        elif token[0] == "<":
            match = _SLOT_FORM.fullmatch(token)
            if match is None:
                raise ValueError(f"{token!r} is not a slot")
            parts.append(Slot(match[1], match[2] or match[1]))
        elif token[0] == "@":
            parts.append(Listed(token[1:]))
        else:
            parts.append(token.lower())
        at += 1
    return tuple(parts), at


def _heads(parts: tuple[Part, ...], lexicon: Lexicon) -> set[tuple[str, str]]:
    """Return the pairs of words with which what matches can begin; "" stands for any word or none."""
    return {((*head, "", "")[0], (*head, "", "")[1]) for head in _openings(parts, lexicon, 2)}


def _openings(parts: tuple[Part, ...], lexicon: Lexicon, count: int) -> set[tuple[str, ...]]:
    if not parts or not count:
        return {()}
    part, rest = parts[0], parts[1:]
    if isinstance(part, str):
        return {(part, *opening) for opening in _openings(rest, lexicon, count - 1)}
    if isinstance(part, Listed) and lexicon.words(part.lexicon):
        if count == 1:
            return {(entry.split()[0],) for entry in lexicon.words(part.lexicon)}
        return {()}
    if not isinstance(part, Words):
        return {()}
    found: set[tuple[str, ...]] = set()
    for alternative in part.alternatives:
        found |= _openings((*alternative, *rest), lexicon, count)
    return found | _openings(rest, lexicon, count) if part.optional else found


def _needs_more(parts: Sequence[Part]) -> bool:
    return any(not (isinstance(part, Words) and part.optional) for part in parts)


def check_file(path: Path, file: PatternFile, lexicon: Lexicon) -> None:
    """Raise PatternError for the first entry that cannot work: what a TOML schema cannot say."""
    phrases = Phrases(lexicon, {})
    for entry in file.pattern:
        where = f"{path.name}: pattern {entry.name!r}"
        slots: set[str] = set()
        for say in entry.say:
            try:
                parts = parse(say)
            except ValueError as error:
                raise PatternError(f"{where}: {say!r}: {error}") from error
            if not parts:
                raise PatternError(f"{where}: an empty say")
            for slot in _all_slots(parts):
                if isinstance(slot, Listed):
                    if slot.lexicon not in lexicon:
                        raise PatternError(f"{where}: {say!r}: no word list {slot.lexicon!r}")
                    continue
                if not phrases.knows(slot.kind):
                    raise PatternError(f"{where}: {say!r}: no kind {slot.kind!r}")
                slots.add(slot.name)
        for fact in entry.facts:
            unknown = (fact.slots | {*fact.needs, *fact.without}) - slots - {"whole"}
            if unknown:
                raise PatternError(f"{where}: {fact.text!r}: no slot {sorted(unknown)[0]!r}")
            if fact.action is Action.ADD and not fact.text:
                raise PatternError(f"{where}: a fact without text")


def _all_slots(parts: tuple[Part, ...]) -> Iterator[Slot | Listed]:
    for part in parts:
        if isinstance(part, (Slot, Listed)):
            yield part
        elif isinstance(part, Words):
            for alternative in part.alternatives:
                yield from _all_slots(alternative)


def _place_of(error: str, document: Mapping[str, object]) -> str:
    """Return the name of the entry that a validation error is about: msgspec gives only its number."""
    match = re.search(r"\$\.(pattern|subject)\[(\d+)\]", error)
    entries = document.get(match[1]) if match else None
    if match is None or not isinstance(entries, list) or int(match[2]) >= len(entries) or not isinstance(entries[int(match[2])], dict):
        return ""
    return f"{match[1]} {entries[int(match[2])].get('name', match[2])!r}: "
