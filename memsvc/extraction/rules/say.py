"""The language of `say`: what a clause says, compiled to an expression over its words.

    i (live|am living) in <place>        words, choices, and slots: the kind of `<place>` is its name, or `<city:place>`
    my name is [now] <name>              what stands in brackets may be missing
    i am @decades                        one entry of a word list, which is not kept; `<x:@decades>` keeps it
    i speak <x:@languages+>              several of them: "French, German and a little Greek"

Words are matched each with one space after it, so that no slot can begin or end within one.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from typing import Final

from memsvc.extraction.rules.lexicon import Lexicon
from memsvc.spoken_times import MAX_WORDS, TIME_WORD

_MAX_SLOT_WORDS: Final = 16
_PIECE: Final = re.compile(r"<[^<>]*>|[()\[\]|]|[^\s()\[\]|<>]+")
_SLOT_FORM: Final = re.compile(r"<([a-z_]+)(?::(@?\w+\+?))?>")
_CLOSERS: Final = {"(": ")", "[": "]"}


class Say:
    """A compiled `say`: the kinds of its slots by their names, and the two words it can begin with, "" being any."""

    def __init__(self, source: str, kinds: Mapping[str, str], openings: frozenset[tuple[str, str]]) -> None:
        self._source = source
        self.kinds = kinds
        self.openings = openings
        firsts = frozenset(first for first, _ in openings)
        self.firsts = frozenset() if "" in firsts else firsts

    @functools.cached_property
    def expression(self) -> re.Pattern[str]:
        """The expression, made on first use: all of them at once would hold up who waits for the first."""
        return re.compile(self._source)


def compiled(say: str, lexicon: Lexicon) -> Say:
    """Compile one `say`. Raises ValueError when it is malformed, or names a word list that there is not."""
    pieces = _PIECE.findall(say)
    if not pieces:
        raise ValueError("an empty say")
    kinds: dict[str, str] = {}
    source, rest = _sequence(pieces, 0, lexicon, kinds)
    if rest != len(pieces):
        raise ValueError(f"unmatched {pieces[rest]!r}")
    return Say(source, kinds, frozenset((first, second) for first, second in _openings(pieces, lexicon, 2)))


def _sequence(pieces: list[str], at: int, lexicon: Lexicon, kinds: dict[str, str]) -> tuple[str, int]:
    """Return the expression of one alternative, and where it ends."""
    parts: list[str] = []
    while at < len(pieces) and pieces[at] not in ("|", ")", "]"):
        piece = pieces[at]
        if piece in _CLOSERS:
            part, at = _choice(pieces, at, lexicon, kinds)
        elif piece[0] == "<":
            part = _slot(piece, lexicon, kinds)
        elif piece[0] == "@":
            part = _listed(piece[1:], lexicon)
        else:
            part = re.escape(piece.lower()) + " "
        parts.append(part)
        at += 1
    return "".join(parts), at


def _slot(piece: str, lexicon: Lexicon, kinds: dict[str, str]) -> str:
    match = _SLOT_FORM.fullmatch(piece)
    if match is None:
        raise ValueError(f"{piece!r} is not a slot")
    if match[1] in kinds:
        return f"(?P={match[1]})"
    kind = kinds[match[1]] = match[2] or match[1]
    if kind.startswith("@") and not kind.endswith("+"):
        # Lists have nouns in the singular.
        return f"(?P<{match[1]}>{_listed(kind[1:], lexicon)[:-1]}s? )"
    if kind in ("when", "when_to_come", "date"):
        return f"(?P<{match[1]}>(?:{TIME_WORD} ){{1,{MAX_WORDS}}})"
    return rf"(?P<{match[1]}>(?:\S+ ){{1,{_MAX_SLOT_WORDS}}}?)"


def _listed(name: str, lexicon: Lexicon) -> str:
    if name not in lexicon:
        raise ValueError(f"no word list {name!r}")
    return "(?:" + "|".join(re.escape(entry) for entry in sorted(lexicon.words(name), key=len, reverse=True)) + ") "


def _choice(pieces: list[str], at: int, lexicon: Lexicon, kinds: dict[str, str]) -> tuple[str, int]:
    """Return the expression of a choice, and the place of the bracket that closes it."""
    closer = _CLOSERS[pieces[at]]
    alternatives: list[str] = []
    while pieces[at] != closer:
        alternative, at = _sequence(pieces, at + 1, lexicon, kinds)
        alternatives.append(alternative)
        if at == len(pieces) or pieces[at] not in ("|", closer):
            raise ValueError(f"{closer!r} is missing")
    # The longest is tried first: of "got" and "got promoted to", the first would leave the rest to a slot.
    choice = "|".join(sorted(alternatives, key=len, reverse=True))
    return f"(?:{choice})" + ("?" if closer == "]" else ""), at


def _openings(pieces: list[str], lexicon: Lexicon, count: int) -> set[tuple[str, ...]]:
    """Return the first words of what matches, as far as they are certain: "" stands for any word, or none."""
    if not count:
        return {()}
    if not pieces or pieces[0][0] == "<":
        return {("",) * count}
    piece, rest = pieces[0], pieces[1:]
    if piece in _CLOSERS:
        end = _closing(pieces, 0)
        rest = pieces[end + 1 :]
        found = set() if piece == "(" else _openings(rest, lexicon, count)
        for alternative in _alternatives(pieces[1:end]):
            found |= _openings([*alternative, *rest], lexicon, count)
        return found
    entries = lexicon.words(piece[1:]) if piece[0] == "@" else (piece.lower(),)
    beginnings = {tuple(entry.split()[:count]) for entry in entries}
    return {(*words, *others) for words in beginnings for others in _openings(rest, lexicon, count - len(words))}


def _closing(pieces: list[str], at: int) -> int:
    depth = 0
    for index in range(at, len(pieces)):
        depth += (pieces[index] in _CLOSERS) - (pieces[index] in (")", "]"))
        if not depth:
            return index
    return len(pieces)


def _alternatives(pieces: list[str]) -> Iterator[list[str]]:
    depth, begin = 0, 0
    for index, piece in enumerate([*pieces, "|"]):
        depth += (piece in _CLOSERS) - (piece in (")", "]"))
        if piece == "|" and not depth:
            yield pieces[begin:index]
            begin = index + 1
