"""The sums of all documents for the terms of a query at once, by numpy: what many postings pay for.

Each term has a row of cells, one for each slot. Its weights are added up in the cells of those that hold it, and of
those that it is lent to, and give way there to what they saturate to; the rows are added up term by term, as `Ranking`
does it one by one: the sums are the same to the last bit. Only cells that a posting leads to are written, and they are
cleared again.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, lru_cache
from itertools import groupby
from typing import TYPE_CHECKING

import msgspec

from memsvc.search.bm25 import K1, Shares, weights
from memsvc.search.neighbours import Neighbours
from memsvc.search.postings import SLOT_MASK, SLOT_SHIFT, TALLY_MASK

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from memsvc.search.ranking import QueryTerm

_CELLS = 1 << 17
"""So many are kept for all searches, a megabyte: taken anew for each, they cost more than what is done in them."""
_PLACES = 5
"""A posting leads to its own slot, and to two either side of it."""


class _Tables(msgspec.Struct, frozen=True):
    """What a term weighs, by tally."""

    places: NDArray[np.float64]
    """In each place that a posting leads to: its own, the next one after it, the one after that, and so before it."""
    impacts: NDArray[np.float64]
    """What its own weight alone saturates to."""


def dense_sums(
    terms: Sequence[QueryTerm], neighbours: Neighbours, mean_length: int, shares: Shares
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the sum of each slot, and the slots that hold a term themselves, once for each."""
    import numpy as np

    tables, lends, count = _tables(mean_length, shares), bool(neighbours), len(neighbours)
    slots, tallies = _read(terms)
    at_once = max(1, _CELLS // (count + 1))
    sums, start = None, 0
    for lent, alike in groupby(terms, lambda term: term.lent and lends):
        each = list(alike)
        for first in range(0, len(each), at_once if lent else 1):
            some = each[first : first + at_once] if lent else each[first : first + 1]
            stop = start + sum([len(term.postings) for term in some])
            its_slots, its_tallies = slots[start:stop], tallies[start:stop]
            if lent:
                sums = _with_context(sums, some, its_slots, its_tallies, neighbours, tables)
            else:
                sums = np.zeros(count) if sums is None else sums
                sums[its_slots] += some[0].rarity * tables.impacts[its_tallies]
            start = stop
    return np.zeros(count) if sums is None else sums, slots


def holders_of(terms: Sequence[QueryTerm]) -> NDArray[np.int64]:
    """Return the slots that hold one of the terms themselves."""
    return _read(terms)[0]


def _read(terms: Sequence[QueryTerm]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return slot and tally of each posting of some terms, term by term."""
    import numpy as np

    postings = np.frombuffer(b"".join([term.postings.packed() for term in terms]), np.int64)
    return postings >> SLOT_SHIFT & SLOT_MASK, postings & TALLY_MASK


def _with_context(
    sums: NDArray[np.float64] | None,
    terms: Sequence[QueryTerm],
    own: NDArray[np.int64],
    tallies: NDArray[np.int64],
    neighbours: Neighbours,
    tables: _Tables,
) -> NDArray[np.float64]:
    """Return the sums with what some terms are worth to each slot, by its own weights and those lent to it.

    `own` are the slots of their postings, term by term, as they are added.
    """
    import numpy as np

    width = len(neighbours) + 1
    size = len(terms) * width
    cells = _cells(_CELLS) if size <= _CELLS else np.zeros(size)
    before, after = np.frombuffer(neighbours.before, np.intc), np.frombuffer(neighbours.after, np.intc)
    # Beside what has no neighbour is none either: the step from -1 is the last one, which leads to -1.
    next_, previous = after[own], before[own]
    places: NDArray[np.int64] = np.concatenate((own, next_, after[next_], previous, before[previous]))
    slots = places.reshape(_PLACES, len(own))
    rarities = np.array([term.rarity for term in terms])
    if len(terms) > 1:
        lengths = np.array([len(term.postings) for term in terms])
        # In a row, -1 is the last cell of the row before, which is no slot's either.
        slots += np.arange(0, size, width).repeat(lengths)
        rarities = rarities.repeat(lengths)
    np.add.at(cells, places, tables.places.take(tallies, axis=1).ravel())
    weight = cells[slots]
    worth = weight * (K1 + 1)
    weight += K1
    worth /= weight
    worth *= rarities
    cells[slots] = worth
    rows = cells[:size].reshape(len(terms), width)
    if sums is None:
        # With the cells that are no slot's: of a single column numpy would add up pairs first.
        sums = np.add.reduce(rows)[:-1]
    else:
        for row in rows:
            sums += row[:-1]
    cells[slots] = 0.0
    return sums


@cache
def _cells(count: int) -> NDArray[np.float64]:
    """Return so many cells, all 0.

    One for all: searches run on the event loop, and none waits in the midst.
    """
    import numpy as np

    return np.zeros(count)


@lru_cache(maxsize=64)
def _tables(mean_length: int, shares: Shares) -> _Tables:
    import numpy as np

    known = weights(mean_length, shares)
    places = known.own, known.to_after, known.to_second_after, known.to_before, known.to_second_before
    return _Tables(np.array(places), np.array(known.impacts))
