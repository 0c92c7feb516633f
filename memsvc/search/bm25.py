"""The weight of a term in a document and its neighbours: BM25F (Robertson and Zaragoza 2009), from a byte each.

What was said next to a text is a field of it that counts less: the neighbours' weights are added to its own before
saturation, so that a word which both have is not counted as two.

The byte, a tally, has the document's length rounded down to one of 32 steps, and how often the term is in it, up to 8
times: what it does not tell apart, saturation has made equal to within a few percent.
"""

from __future__ import annotations

from bisect import bisect_right
from functools import lru_cache
from math import log1p

import msgspec

K1 = 1.2
OWN_B = 0.5
NEIGHBOURS_B = 0.75

MAX_OCCURRENCES = 8


class Shares(msgspec.Struct, frozen=True):
    """How much of the weight in a neighbour counts: in the one before, the one after, and one further either way."""

    before: float = 0.4
    after: float = 0.3
    second_before: float = 0.3
    second_after: float = 0.2

    @property
    def total(self) -> float:
        return self.before + self.after + self.second_before + self.second_after


class Weights(msgspec.Struct, frozen=True):
    """For each tally, what a term weighs before saturation: to its own document, and to those it is lent to."""

    own: list[float]
    lent: list[float]
    to_after: list[float]
    to_before: list[float]
    to_second_after: list[float]
    to_second_before: list[float]
    impacts: list[float]
    """What the own weight alone saturates to."""


def length_class(length: int) -> int:
    """Return the step, 0 to 31, that a length in terms is rounded down to."""
    return bisect_right(LENGTHS, length) - 1 if length else 0


def first_tally(length_class: int) -> int:
    """Return the tally of a term that is once in a document of such a length; each further time adds one."""
    return length_class * MAX_OCCURRENCES


def rarity(documents: int, holders: int) -> float:
    """Return the weight of a term (its idf) that `holders` of `documents` hold."""
    return log1p((documents - holders + 0.5) / (holders + 0.5))


def is_lent(documents: int, holders: int) -> bool:
    """Whether documents lend a term to their neighbours: one that many hold says nothing of what stands beside it."""
    return holders <= max(_LENT_HOLDERS, documents // 5)


def saturated(weight: float) -> float:
    """Return by how much a term's rarity counts."""
    return weight * (K1 + 1) / (weight + K1)


@lru_cache(maxsize=64)
def weights(mean_length: int, shares: Shares) -> Weights:
    """Return the weights where documents have this length on average."""
    own = [_rounded(weight) for weight in _normalised(mean_length, OWN_B)]
    lent = _normalised(mean_length, NEIGHBOURS_B)
    return Weights(
        own=own,
        lent=lent,
        # To the document after, this one is the one before.
        to_after=[_rounded(shares.before * weight) for weight in lent],
        to_before=[_rounded(shares.after * weight) for weight in lent],
        to_second_after=[_rounded(shares.second_before * weight) for weight in lent],
        to_second_before=[_rounded(shares.second_after * weight) for weight in lent],
        impacts=[saturated(weight) for weight in own],
    )


def _normalised(mean_length: int, b: float) -> list[float]:
    return [
        occurrences / (1 - b + b * length / mean_length)
        for length in LENGTHS
        for occurrences in range(1, MAX_OCCURRENCES + 1)
    ]


def _rounded(weight: float) -> float:
    """Return a weight whose sums are exact, and so the same in whatever order they are made."""
    return round(weight * _STEPS) / _STEPS


LENGTHS = (*range(1, 11), *(round(10 * 1.25**step) for step in range(1, 23)))
_LENT_HOLDERS = 64
_STEPS = 1 << 24
