"""The sums of all documents for the terms of a query at once, by numpy: what many postings pay for.

A row for each term, a column for each slot. The weights of a term are put where it is, and added where it is lent to;
what they saturate to is added up term by term, as `Ranking` does it one by one: the sums are the same to the last bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import msgspec

from memsvc.search.bm25 import K1, Shares, weights
from memsvc.search.neighbours import NONE, Neighbours
from memsvc.search.postings import SLOT_SHIFT, TALLY_MASK

if TYPE_CHECKING:
    from array import array

    import numpy as np
    from numpy.typing import NDArray

    from memsvc.search.ranking import QueryTerm

_CELLS = 1 << 16
"""So many weights are held at a time, half a megabyte of them."""


class _Tables(msgspec.Struct, frozen=True):
    """Weights by tally: a term's own, and those lent along each way, one step and two."""

    own: NDArray[np.float64]
    lent: tuple[tuple[NDArray[np.float64], NDArray[np.float64]], ...]


def dense_sums(
    terms: Sequence[QueryTerm], neighbours: Neighbours, mean_length: int, shares: Shares
) -> NDArray[np.float64]:
    """Return the sum of each slot."""
    import numpy as np

    count = len(neighbours.before)
    tables = _tables(mean_length, shares)
    steps = [_stepping(step, count) for step in (neighbours.after, neighbours.before)] if neighbours else []
    sums = np.zeros(count + 1)
    at_once = max(1, _CELLS // (count + 1))
    for first in range(0, len(terms), at_once):
        _add(sums, terms[first : first + at_once], steps, tables)
    return sums[:count]


def holding(terms: Sequence[QueryTerm], count: int) -> NDArray[np.bool_]:
    """Return which of so many slots hold one of the terms themselves."""
    import numpy as np

    holds = np.zeros(count, np.bool_)
    for term in terms:
        holds[term.postings.numbers() >> SLOT_SHIFT] = True
    return holds


def _add(
    sums: NDArray[np.float64], terms: Sequence[QueryTerm], steps: Sequence[NDArray[np.int64]], tables: _Tables
) -> None:
    """Add what some terms are worth to the sums; their last column is no slot's."""
    import numpy as np

    width = len(sums)
    starts = np.arange(len(terms)) * width
    lengths = [len(term.postings) for term in terms]
    postings = np.concatenate([term.postings.numbers() for term in terms])
    slots, tallies = (postings >> SLOT_SHIFT).astype(np.int64), postings & TALLY_MASK
    rows = np.repeat(starts, lengths)
    found = np.zeros(width * len(terms))
    found[slots + rows] = tables.own[tallies]
    lent = np.repeat([term.lent for term in terms], lengths)
    if not lent.all():
        slots, tallies, rows = slots[lent], tallies[lent], rows[lent]
    for step, (near, further) in zip(steps, tables.lent, strict=False):
        # Each slot has one neighbour at most either side: but for the column that is no slot's, none is met twice.
        beside = step[slots]
        found[beside + rows] += near[tallies]
        found[step[beside] + rows] += further[tallies]
    held = np.flatnonzero(found)
    weight = found[held]
    impacts = weight * (K1 + 1) / (weight + K1)
    ends = [*np.searchsorted(held, starts).tolist(), len(held)]
    for number, term in enumerate(terms):
        own = slice(ends[number], ends[number + 1])
        sums[held[own] - starts[number]] += term.rarity * impacts[own]


def _stepping(step: array[int], count: int) -> NDArray[np.int64]:
    """Return the slots beside each; `count` where there is none."""
    import numpy as np

    beside = np.empty(count + 1, np.int64)
    beside[:count] = step
    beside[count] = count
    beside[beside == NONE] = count
    return beside


@lru_cache(maxsize=64)
def _tables(mean_length: int, shares: Shares) -> _Tables:
    import numpy as np

    known = weights(mean_length, shares)
    after = np.array(known.to_after), np.array(known.to_second_after)
    before = np.array(known.to_before), np.array(known.to_second_before)
    return _Tables(np.array(known.own), (after, before))
