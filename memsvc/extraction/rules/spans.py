"""The words of a slot, on their way to what they mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec

from memsvc.extraction.rules.lexicon import Lexicon
from memsvc.extraction.rules.sentences import Token, words_of
from memsvc.extraction.rules.wording import Filling, is_proper, original


class Span(msgspec.Struct, frozen=True, gc=False):
    """The words of a slot, and what is needed to read them."""

    tokens: Sequence[Token]
    source: str
    lexicon: Lexicon
    canonical: Mapping[str, Mapping[str, str]]
    now: datetime | None

    @property
    def words(self) -> list[str]:
        return words_of(self.tokens)

    @property
    def original(self) -> str:
        return original(self.tokens, self.source)

    def has_any(self, name: str) -> bool:
        """Tell whether one of the words is in a list."""
        return not self.lexicon.words(name).isdisjoint(self.words)

    def part(self, begin: int, end: int | None = None) -> Span:
        return msgspec.structs.replace(self, tokens=self.tokens[begin:end])

    def is_proper(self, at: int) -> bool:
        return is_proper(self.tokens[at], self.source)


def one(text: str, value: object = None) -> list[Filling]:
    """Return the one filling with a text, whose value it is where there is no other."""
    return [Filling(text, text if value is None else value)]


def parts_of(span: Span) -> list[Span]:
    """Split a list at its commas, "and" and "or"; a phrase that holds one of these stays whole."""
    if " ".join(span.words) in span.lexicon.words("pairs"):
        return [span]
    parts, begin = [], 0
    for at, word in enumerate([*span.words, ","]):
        if word in (",", "and", "or"):
            if at > begin:
                parts.append(span.part(begin, at))
            begin = at + 1
    return parts
