"""All patterns together, found by how a clause begins, and matched against it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from memsvc.extraction.rules.lexicon import Lexicon, entries_of
from memsvc.extraction.rules.pattern_files import PatternEntry, PatternFile, check_file, read_file
from memsvc.extraction.rules.reading import Spelling
from memsvc.extraction.rules.say import END, Listed, Part, Slot, anchors, heads, is_complete, named_parts, parse

ENGLISH_FOLDER: Final = Path(__file__).with_name("english")
_MAX_SLOT_TOKENS: Final = 14
"""Bounds the steps of a match, whatever the clause."""

Span = tuple[int, int]


class Pattern(msgspec.Struct, frozen=True, gc=False):
    """One `say` of an entry, ready to match."""

    order: int
    entry: PatternEntry
    parts: tuple[Part, ...]
    kinds: Mapping[str, str]
    """Of its slots."""
    required: frozenset[str]
    """The slots outside brackets: where one of them cannot be read, the pattern says nothing."""
    anchors: tuple[frozenset[str], ...]
    """A clause that has none of one of these does not match."""


class PatternBook:
    """The patterns, word lists and spellings of some files."""

    def __init__(self, files: Sequence[PatternFile], lexicon: Lexicon) -> None:
        self.lexicon = lexicon
        self.canonical: dict[str, dict[str, str]] = {}
        for file in files:
            for name, words in file.canonical.items():
                self.canonical.setdefault(name, {}).update(words)
        contractions = self.canonical.get("contractions", {})
        self.spelling = Spelling(
            {written: tuple(words.split()) for written, words in contractions.items()},
            self.canonical.get("slips", {}),
            lexicon.words("abbreviations"),
        )
        self.subjects = tuple(subject for file in files for subject in file.subject)
        self._by_head: dict[tuple[str, str], list[Pattern]] = {}
        says = ((entry, say) for file in files for entry in file.pattern for say in entry.say)
        for order, (entry, say) in enumerate(says):
            pattern = _pattern(order, entry, parse(say))
            for head in heads(pattern.parts, lexicon):
                self._by_head.setdefault(head, []).append(pattern)

    def candidates(self, words: Sequence[str]) -> Iterator[Pattern]:
        """Yield the patterns that a clause with these words may match, in the order of the files."""
        first, second = (*words, "")[:2]
        found: dict[int, Pattern] = {}
        for head in ((first, second), (first, ""), ("", "")):
            for pattern in self._by_head.get(head, ()):
                found[pattern.order] = pattern
        present = frozenset(words)
        for order in sorted(found):
            pattern = found[order]
            if not any(anchor.isdisjoint(present) for anchor in pattern.anchors):
                yield pattern

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
        if part == END:
            if at == len(words) or words[at] == ",":
                yield spans
        elif isinstance(part, str):
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
            for alternative in part.beginning(words, at):
                yield from self._walk((*alternative, *rest), words, at, spans, after_slot=False)
            if part.optional:
                yield from self._walk(rest, words, at, spans, after_slot=after_slot)

    def _ends(self, slot: Slot, rest: tuple[Part, ...], words: Sequence[str], at: int) -> Sequence[int]:
        """Return where a slot that begins at `at` may end."""
        if at >= len(words):
            return ()
        if not rest:
            return (len(words),)
        if slot.kind[0] == "@":
            ends = [at + count for count in range(self.lexicon.longest(slot.kind[1:], words, at), 0, -1)]
            return [*ends, len(words)] if ends and is_complete(rest) else ends
        return (*range(at + 1, min(at + _MAX_SLOT_TOKENS, len(words))), len(words))

    def _may_follow(self, word: str) -> bool:
        """Tell whether a clause may go on with `word` after the last word of a pattern and still say the same."""
        return not word[0].isalnum() or any(word in self.lexicon.words(name) for name in _GOES_ON)


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


def _pattern(order: int, entry: PatternEntry, parts: tuple[Part, ...]) -> Pattern:
    kinds = {slot.name: slot.kind for slot in named_parts(parts) if isinstance(slot, Slot)}
    required = frozenset(part.name for part in parts if isinstance(part, Slot))
    return Pattern(order, entry, parts, kinds, required, anchors(parts))


_GOES_ON: Final = ("stops", "prepositions", "trailing", "time_words", "counts")
