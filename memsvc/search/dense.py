"""The sums of all documents for the terms of a query at once, by numpy: what many postings pay for.

Each term has a row of cells, one for each slot. Its weights are added up in the cells of those that hold it, and of
those that it is lent to; what they saturate to is added up term by term, as `Ranking` does it one by one: the sums are
the same to the last bit. Only cells that a posting leads to are looked at, and they are cleared again: it takes about
as long however many slots there are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache, lru_cache
from itertools import groupby
from typing import TYPE_CHECKING, cast

import msgspec

from memsvc.search.bm25 import K1, Shares, weights
from memsvc.search.neighbours import NONE, Neighbours
from memsvc.search.postings import SLOT_SHIFT, TALLY_MASK

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

    count = len(neighbours.before)
    tables = _tables(mean_length, shares)
    lends = bool(neighbours)
    parts: list[tuple[NDArray[np.intp], NDArray[np.float64]]] = []
    for lent, alike in groupby(terms, lambda term: term.lent and lends):
        if lent:
            parts += _with_context(list(alike), neighbours, tables)
        else:
            parts += (_alone(term, tables) for term in alike)
    slots, added = map(np.concatenate, zip(*parts, strict=True))
    # In order: what is added to a slot first comes first. Slot -1 is nobody's.
    return cast("NDArray[np.float64]", np.bincount(slots + 1, added, count + 1))[1:]


def holding(terms: Sequence[QueryTerm], count: int) -> NDArray[np.bool_]:
    """Return which of so many slots hold one of the terms themselves."""
    import numpy as np

    holds = np.zeros(count, np.bool_)
    holds[np.concatenate([term.postings.numbers() for term in terms]) >> SLOT_SHIFT] = True
    return holds


def _alone(term: QueryTerm, tables: _Tables) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Return the slots that hold a term, and what it is worth to each by its own weight."""
    import numpy as np

    postings = term.postings.numbers()
    return (postings >> SLOT_SHIFT).astype(np.intp), term.rarity * tables.impacts[postings & TALLY_MASK]


def _with_context(
    terms: Sequence[QueryTerm], neighbours: Neighbours, tables: _Tables
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.float64]]]:
    """Yield slots, and what some terms are worth to each by its own weights and those lent to it: term by term."""
    import numpy as np

    width = len(neighbours.before) + 1
    before, after = np.frombuffer(neighbours.before, np.intc), np.frombuffer(neighbours.after, np.intc)
    at_once = max(1, _CELLS // width)
    cells = _cells(_CELLS) if width <= _CELLS else np.zeros(width)
    for first in range(0, len(terms), at_once):
        some = terms[first : first + at_once]
        lengths = [len(term.postings) for term in some]
        postings = np.concatenate([term.postings.numbers() for term in some]).astype(np.intp)
        slots = np.empty((len(postings), _PLACES), np.intp)
        slots[:, 0] = own = postings >> SLOT_SHIFT
        for place, step in ((1, after), (3, before)):
            slots[:, place] = near = step[own]
            further = step[near]
            further[near == NONE] = NONE
            slots[:, place + 1] = further
        # In a row, -1 is the last cell of the row before, which is no slot's either.
        where = (slots + np.repeat(np.arange(len(some)) * width, lengths)[:, None]).ravel()
        np.add.at(cells, where, tables.places.take(postings & TALLY_MASK, axis=0).ravel())
        weight = cells[where]
        # Each cell counts once, however many postings lead to it.
        number = np.arange(len(where), dtype=np.float64)
        cells[where] = number
        once = np.flatnonzero(cells[where] == number)
        cells[where] = 0.0
        weight = weight[once]
        rarity = np.repeat([term.rarity for term in some], np.array(lengths) * _PLACES)[once]
        yield slots.ravel()[once], rarity * (weight * (K1 + 1) / (weight + K1))


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
    return _Tables(np.array(places).T.copy(), np.array(known.impacts))
