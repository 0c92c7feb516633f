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
) -> NDArray[np.float64]:
    """Return the sum of each slot."""
    import numpy as np

    tables = _tables(mean_length, shares)
    lends = bool(neighbours)
    sums = np.zeros(len(neighbours))
    for lent, alike in groupby(terms, lambda term: term.lent and lends):
        if lent:
            _add_with_context(sums, list(alike), neighbours, tables)
        else:
            for term in alike:
                slots, tallies = _read([term])
                sums[slots] += term.rarity * tables.impacts[tallies]
    return sums


def holding(terms: Sequence[QueryTerm], count: int) -> NDArray[np.bool_]:
    """Return which of so many slots hold one of the terms themselves."""
    import numpy as np

    holds = np.zeros(count, np.bool_)
    holds[_read(terms)[0]] = True
    return holds


def _read(terms: Sequence[QueryTerm]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return slot and tally of each posting of some terms, term by term."""
    import numpy as np

    postings = np.frombuffer(b"".join([term.postings.packed() for term in terms]), np.int64)
    return postings >> SLOT_SHIFT & SLOT_MASK, postings & TALLY_MASK


def _add_with_context(
    sums: NDArray[np.float64], terms: Sequence[QueryTerm], neighbours: Neighbours, tables: _Tables
) -> None:
    """Add what some terms are worth to each slot by its own weights and those lent to it: term by term."""
    import numpy as np

    count = len(sums)
    width = count + 1
    before, after = np.frombuffer(neighbours.before, np.intc), np.frombuffer(neighbours.after, np.intc)
    at_once = max(1, _CELLS // width)
    cells = _cells(_CELLS) if width <= _CELLS else np.zeros(width)
    for first in range(0, len(terms), at_once):
        some = terms[first : first + at_once]
        own, tallies = _read(some)
        slots = np.empty((_PLACES, len(own)), np.intp)
        slots[0] = own
        # Beside what has no neighbour is none either: the step from -1 is the last one, which leads to -1.
        slots[1] = near = after[own]
        slots[2] = after[near]
        slots[3] = near = before[own]
        slots[4] = before[near]
        rarities = np.array([term.rarity for term in some])
        if len(some) > 1:
            lengths = [len(term.postings) for term in some]
            # In a row, -1 is the last cell of the row before, which is no slot's either.
            slots += np.repeat(np.arange(len(some)) * width, lengths)
            rarities = np.repeat(rarities, lengths)
        np.add.at(cells, slots.ravel(), tables.places.take(tallies, axis=1).ravel())
        weight = cells[slots]
        cells[slots] = rarities * (weight * (K1 + 1) / (weight + K1))
        for row in cells[: len(some) * width].reshape(len(some), width):
            sums += row[:count]
        cells[slots] = 0.0


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
