"""The best documents for the terms of a query, without reading all that is known of the common ones.

A document's score is the sum, over the terms, of rarity times the saturated weight that the term has in it and in its
neighbours. Terms are read rarest first. Once the unread ones could not lift a document past those found, only the
documents within reach are looked up in them (MaxScore: Turtle and Flood 1995). The result is exact.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Iterable, Sequence
from heapq import nlargest
from itertools import islice
from typing import TYPE_CHECKING, Protocol

import msgspec

from memsvc.search.bm25 import K1, Shares, saturated, weights
from memsvc.search.dense import dense_sums
from memsvc.search.neighbours import NONE, Neighbours
from memsvc.search.postings import SLOT_SHIFT, TALLY_MASK, TermPostings

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Factors(Protocol):
    """What the score of each slot is multiplied by, 0 to 1."""

    def __getitem__(self, slot: int, /) -> float: ...


class QueryTerm(msgspec.Struct, frozen=True, gc=False):
    """A term of a query that some documents hold."""

    postings: TermPostings
    rarity: float
    lent: bool = True
    """Whether documents lend it to their neighbours."""
    everywhere: bool = False
    """Whether it is a stop word: then it is the only one."""


class Ranking:
    """One search for the `limit` best among the slots that `permits` lets through (None: all)."""

    def __init__(
        self,
        mean_length: int,
        neighbours: Neighbours,
        shares: Shares,
        limit: int,
        permits: Callable[[int], bool] | None,
        factors: Factors | None = None,
    ) -> None:
        """`factors`, at most 1, are what each slot's score is multiplied by; None: all are 1."""
        self._mean_length = mean_length
        self._shares = shares
        self._weights = weights(mean_length, shares)
        self._neighbours = neighbours
        self._lends = bool(neighbours) and shares.total > 0
        self._limit = limit
        self._permits = permits
        self._factors = factors
        self._sums: dict[int, float] = {}

    def scores(self, terms: Sequence[QueryTerm]) -> dict[int, float]:
        """Return the scores of permitted slots: of the best with all their equals, and perhaps of others.

        The terms come rarest first, and their parts are added up in that order, whatever is skipped.
        """
        if "numpy" in sys.modules and self._are_many(terms):
            return self._dense_scores(terms)
        for number, term in enumerate(terms):
            if len(term.postings) >= max(_COMMON, len(self._sums) // 8):
                finalists = self._finalists_before(terms[number:])
                if finalists is not None:
                    return self._final(finalists)
            self._read(term)
        return self._final(self._within_reach(self._floor()))

    def all_sums(self, terms: Sequence[QueryTerm]) -> tuple[NDArray[np.float64], NDArray[np.int64] | list[int]]:
        """Return the sum of each slot, permitted or not, without its factor, and the slots that hold a term themselves.

        With numpy, for whoever has loaded it.
        """
        import numpy as np

        if sum(len(term.postings) for term in terms) >= _MANY_FOR_SUMS:
            return dense_sums(terms, self._neighbours, self._mean_length, self._shares)
        for term in terms:
            self._read(term)
        sums = np.zeros(len(self._neighbours))
        sums[list(self._sums)] = list(self._sums.values())
        return sums, [slot for term in terms for slot in term.postings.slots()]

    def holds_any(self, slot: int, terms: Iterable[QueryTerm]) -> bool:
        """Return whether a document holds one of the terms itself."""
        return any(term.postings.tally(slot) >= 0 for term in terms)

    def _are_many(self, terms: Sequence[QueryTerm]) -> bool:
        """Whether the terms have so many postings that they are read faster all at once."""
        many = max(_MANY_POSTINGS, len(self._neighbours) // _SLOTS_PER_POSTING)
        return sum(len(term.postings) for term in terms) >= many

    def _dense_scores(self, terms: Sequence[QueryTerm]) -> dict[int, float]:
        import numpy as np

        sums, _ = dense_sums(terms, self._neighbours, self._mean_length, self._shares)
        slots = np.flatnonzero(sums)
        sums = sums[slots]

        def from_on(least: float) -> dict[int, float]:
            some = sums >= least
            return dict(zip(slots[some].tolist(), sums[some].tolist(), strict=True))

        width, floor = _LEADERS_PER_RESULT * self._limit, 0.0
        while not floor and width < len(slots):
            self._sums = from_on(np.partition(sums, -width)[-width].item())
            floor = self._floor()
            width *= 8
        self._sums = from_on(floor - _ROUNDING)
        return self._final(self._permitted(self._sums))

    def _read(self, term: QueryTerm) -> None:
        sums, rarity = self._sums, term.rarity
        sum_of = sums.get
        if not (term.lent and self._lends):
            impacts = self._weights.impacts
            for posting in term.postings.read():
                slot = posting >> SLOT_SHIFT
                sums[slot] = sum_of(slot, 0.0) + rarity * impacts[posting & TALLY_MASK]
            return
        for slot, weight in self._weights_with_context(term.postings).items():
            sums[slot] = sum_of(slot, 0.0) + rarity * (weight * _SCALE / (weight + K1))

    def _weights_with_context(self, postings: TermPostings) -> dict[int, float]:
        """Return the weight of a term in each document that holds it, or stands beside one that does."""
        known = self._weights
        own, to_after, to_before = known.own, known.to_after, known.to_before
        to_second_after, to_second_before = known.to_second_after, known.to_second_before
        before, after = self._neighbours.before, self._neighbours.after
        found: dict[int, float] = {}
        weight_of = found.get
        for posting in postings.read():
            slot = posting >> SLOT_SHIFT
            tally = posting & TALLY_MASK
            found[slot] = weight_of(slot, 0.0) + own[tally]
            near = after[slot]
            if near != NONE:
                found[near] = weight_of(near, 0.0) + to_after[tally]
                near = after[near]
                if near != NONE:
                    found[near] = weight_of(near, 0.0) + to_second_after[tally]
            near = before[slot]
            if near != NONE:
                found[near] = weight_of(near, 0.0) + to_before[tally]
                near = before[near]
                if near != NONE:
                    found[near] = weight_of(near, 0.0) + to_second_before[tally]
        return found

    def _part(self, term: QueryTerm, slot: int) -> float:
        """Return what a term adds to the score of one document."""
        tally_of = term.postings.tally
        known = self._weights
        tally = tally_of(slot)
        if not (term.lent and self._lends):
            return term.rarity * known.impacts[tally] if tally >= 0 else 0.0
        weight = known.own[tally] if tally >= 0 else 0.0
        before, after = self._neighbours.before, self._neighbours.after
        for near, further, lent, further_lent in (
            (before[slot], before, known.to_after, known.to_second_after),
            (after[slot], after, known.to_before, known.to_second_before),
        ):
            if near != NONE:
                tally = tally_of(near)
                if tally >= 0:
                    weight += lent[tally]
                second = further[near]
                if second != NONE:
                    tally = tally_of(second)
                    if tally >= 0:
                        weight += further_lent[tally]
        return term.rarity * (weight * _SCALE / (weight + K1))

    def _most(self, term: QueryTerm) -> float:
        """Return more than the term adds to the score of any document."""
        tallies = term.postings.tallies()
        known = self._weights
        weight = max(known.own[tally] for tally in tallies)
        if term.lent and self._lends:
            weight += self._shares.total * max(known.lent[tally] for tally in tallies)
        return term.rarity * saturated(weight)

    def _finalists_before(self, unread: Sequence[QueryTerm]) -> Collection[int] | None:
        """Return who may be among the best, looked up in the unread terms; None: reading on is needed, or cheaper."""
        floor = self._floor()
        if not floor:
            return None
        lift = sum(map(self._most, unread))
        if floor <= lift + _ROUNDING:
            return None
        finalists = self._within_reach(floor - lift)
        lookups = sum(_LOOKUPS_LENT if term.lent and self._lends else 1 for term in unread)
        reads = sum(len(term.postings) * (_READS_LENT if term.lent and self._lends else 1) for term in unread)
        if len(finalists) * lookups * _POSTINGS_PER_LOOKUP > reads:
            return None
        for term in unread:
            for slot in finalists:
                self._sums[slot] += self._part(term, slot)
        return finalists

    def _floor(self) -> float:
        """Return a score that `limit` results reach already; 0: there are not as many."""
        if self._permits is None and self._factors is None:
            return nth_largest(self._sums.values(), self._limit) or 0.0
        width = _LEADERS_PER_RESULT * self._limit
        while self._sums:
            leading_sum = nth_largest(self._sums.values(), width) or 0.0
            leaders = self._permitted([slot for slot, own in self._sums.items() if own >= leading_sum])
            least = nth_largest(self._final(islice(leaders, width)).values(), self._limit)
            if least is not None:
                return least
            if width >= len(self._sums):
                break
            width *= 8
        return 0.0

    def _within_reach(self, floor: float) -> Collection[int]:
        """Return the permitted slots that get to `floor`."""
        floor -= _ROUNDING
        return self._permitted([slot for slot, own in self._sums.items() if own >= floor])

    def _final(self, slots: Iterable[int]) -> dict[int, float]:
        sums, factors = self._sums, self._factors
        if factors is None:
            return {slot: sums[slot] for slot in slots}
        return {slot: factors[slot] * sums[slot] for slot in slots}

    def _permitted(self, slots: Collection[int]) -> Collection[int]:
        return slots if self._permits is None else [slot for slot in slots if self._permits(slot)]


def nth_largest(values: Collection[float], number: int) -> float | None:
    """Return the `number`-th largest; None: there are not as many."""
    if len(values) < number:
        return None
    # A heap takes Python's own time for each value that it keeps, and pays for few of many only.
    if len(values) > _VALUES_A_HEAP * number:
        return nlargest(number, values)[-1]
    return sorted(values, reverse=True)[number - 1]


_VALUES_A_HEAP = 32
_SCALE = K1 + 1
_MANY_POSTINGS = 96
"""So many pay for numpy, where it is loaded."""
_SLOTS_PER_POSTING = 50
"""With numpy all slots are looked at, however few of them are found."""
_MANY_FOR_SUMS = 24
"""The same where the sums of all slots are wanted."""
_COMMON = 64
"""From as many postings on it pays to see whether a term must be read."""
_POSTINGS_PER_LOOKUP = 8
"""How many postings are read in the time that one document is looked up in a term."""
_LOOKUPS_LENT = 5
_READS_LENT = 8
"""A lent term is read into, and looked up in, five documents, and its weights are saturated one by one."""
_LEADERS_PER_RESULT = 2
_ROUNDING = 1e-9
