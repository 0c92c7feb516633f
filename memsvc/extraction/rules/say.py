"""The language of `say`: what a clause says, as parts to be walked over words.

It is described at the head of `english/10_profile.toml`. There are no regular expressions in it, so no input can make a
match explode.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import msgspec

from memsvc.extraction.rules.lexicon import Lexicon

END: Final = "$"
"""Ends a pattern where otherwise a clause might go on."""


class Choice(msgspec.Struct, frozen=True, gc=False):
    """One of several word sequences, or, when optional, nothing."""

    alternatives: tuple[tuple[Part, ...], ...]
    optional: bool
    by_word: Mapping[str, tuple[tuple[Part, ...], ...]]
    """The alternatives that begin with a word, by that word."""
    by_other: tuple[tuple[Part, ...], ...]
    """Those that do not."""

    def beginning(self, words: Sequence[str], at: int) -> tuple[tuple[Part, ...], ...]:
        """Return the alternatives that may match from `at`."""
        found = self.by_word.get(words[at], ()) if at < len(words) else ()
        return (*found, *self.by_other) if self.by_other else found


class Slot(msgspec.Struct, frozen=True, gc=False):
    """Words that are kept, by their name."""

    name: str
    kind: str


class Listed(msgspec.Struct, frozen=True, gc=False):
    """An entry of a word list that is matched, but not kept."""

    lexicon: str


Part = str | Choice | Slot | Listed


def parse(say: str) -> tuple[Part, ...]:
    """Compile one `say`. Raises ValueError when it is malformed."""
    pieces = _PIECE.findall(say)
    parts, rest = _sequence(pieces, 0)
    if rest != len(pieces):
        raise ValueError(f"unmatched {pieces[rest]!r}")
    return parts


def named_parts(parts: Sequence[Part]) -> Iterator[Slot | Listed]:
    """Yield the slots and lists of a pattern, also those in brackets."""
    for part in parts:
        if isinstance(part, (Slot, Listed)):
            yield part
        elif isinstance(part, Choice):
            for alternative in part.alternatives:
                yield from named_parts(alternative)


def anchors(parts: Sequence[Part]) -> tuple[frozenset[str], ...]:
    """Return sets of words of each of which a clause must have one: what tells most patterns apart at a glance."""
    found: list[frozenset[str]] = []
    for part in parts:
        if isinstance(part, str) and part != END:
            found.append(frozenset({part}))
        elif isinstance(part, Choice) and not part.optional and not part.by_other:
            found.append(frozenset(part.by_word))
    return tuple(found)


def is_complete(parts: Sequence[Part]) -> bool:
    """Tell whether nothing has to follow: all parts are optional."""
    return all(isinstance(part, Choice) and part.optional for part in parts)


def heads(parts: tuple[Part, ...], lexicon: Lexicon) -> set[tuple[str, str]]:
    """Return the pairs of words with which what matches can begin; "" stands for any word or none."""
    padded = ((*opening, "", "")[:2] for opening in _openings(parts, lexicon, 2))
    return {(first, second) for first, second in padded}


def _openings(parts: tuple[Part, ...], lexicon: Lexicon, count: int) -> set[tuple[str, ...]]:
    if not parts or not count or parts[0] == END:
        return {()}
    part, rest = parts[0], parts[1:]
    if isinstance(part, str):
        return {(part, *opening) for opening in _openings(rest, lexicon, count - 1)}
    if isinstance(part, Listed) and count == 1:
        return {(entry.split()[0],) for entry in lexicon.words(part.lexicon)}
    if not isinstance(part, Choice):
        return {()}
    found: set[tuple[str, ...]] = set()
    for alternative in part.alternatives:
        found |= _openings((*alternative, *rest), lexicon, count)
    return found | _openings(rest, lexicon, count) if part.optional else found


_PIECE: Final = re.compile(r"<[^<>]*>|[()\[\]|]|[^\s()\[\]|<>]+")
_SLOT_FORM: Final = re.compile(r"<(\w+)(?::([@~^]?\w+))?>")
_CLOSERS: Final = {"(": ")", "[": "]"}


def _sequence(pieces: Sequence[str], at: int) -> tuple[tuple[Part, ...], int]:
    parts: list[Part] = []
    while at < len(pieces) and pieces[at] not in ("|", ")", "]"):
        piece = pieces[at]
        if piece in _CLOSERS:
            part, at = _choice(pieces, at)
            parts.append(part)
        elif piece[0] == "<":
            match = _SLOT_FORM.fullmatch(piece)
            if match is None:
                raise ValueError(f"{piece!r} is not a slot")
            parts.append(Slot(match[1], match[2] or match[1]))
        else:
            parts.append(Listed(piece[1:]) if piece[0] == "@" else piece.lower())
        at += 1
    return tuple(parts), at


def _choice(pieces: Sequence[str], at: int) -> tuple[Choice, int]:
    """Return a choice and the place of the bracket that closes it."""
    closer = _CLOSERS[pieces[at]]
    alternatives: list[tuple[Part, ...]] = []
    while pieces[at] != closer:
        alternative, at = _sequence(pieces, at + 1)
        alternatives.append(alternative)
        if at == len(pieces) or pieces[at] not in ("|", closer):
            raise ValueError(f"{closer!r} is missing")
    by_word: dict[str, tuple[tuple[Part, ...], ...]] = {}
    for alternative in alternatives:
        if alternative and isinstance(alternative[0], str) and alternative[0] != END:
            by_word[alternative[0]] = (*by_word.get(alternative[0], ()), alternative)
    by_other = tuple(each for each in alternatives if not each or not isinstance(each[0], str) or each[0] == END)
    return Choice(tuple(alternatives), closer == "]", by_word, by_other), at
