"""The BM25 weight of a term in a document (Robertson and Zaragoza 2009), from one byte that is kept of the two.

The byte, a tally, has the document's length rounded down to one of 32 steps, and how often the term is in it, up to 8
times: what it does not tell apart, saturation has made equal to within a few percent.
"""

from __future__ import annotations

from bisect import bisect_right
from functools import lru_cache
from math import log1p

K1 = 1.2
B = 0.4
"""Low: memories are short, and a longer one is not about more things."""

MAX_OCCURRENCES = 8
HIGHEST_IMPACT = K1 + 1
"""No impact reaches it."""


def length_class(length: int) -> int:
    """Return the step, 0 to 31, that a length in terms is rounded down to."""
    return bisect_right(LENGTHS, length) - 1 if length else 0


def first_tally(length_class: int) -> int:
    """Return the tally of a term that is once in a document of such a length; each further time adds one."""
    return length_class * MAX_OCCURRENCES


def rarity(documents: int, holders: int) -> float:
    """Return the weight of a term (its idf) that `holders` of `documents` hold."""
    return log1p((documents - holders + 0.5) / (holders + 0.5))


@lru_cache(maxsize=64)
def impacts(mean_length: int) -> list[float]:
    """Return, for each tally, by how much the term's rarity counts, where documents have this length on average."""
    return [
        occurrences * (K1 + 1) / (occurrences + K1 * (1 - B + B * length / mean_length))
        for length in LENGTHS
        for occurrences in range(1, MAX_OCCURRENCES + 1)
    ]


LENGTHS = (*range(1, 11), *(round(10 * 1.25**step) for step in range(1, 23)))
