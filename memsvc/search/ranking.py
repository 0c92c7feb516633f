"""The best documents for the terms of a query, without reading all that is known of the common ones.

A document's score is the BM25 sum of its terms, plus a share of the better of its neighbours' sums. Terms are read
rarest first. Once the unread ones could not lift a document past those found, only the documents within reach are
looked up in them (MaxScore: Turtle and Flood 1995). The result is exact.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from heapq import nlargest
from itertools import islice

import msgspec

from memsvc.search.bm25 import HIGHEST_IMPACT
from memsvc.search.neighbours import Neighbours
from memsvc.search.postings import SLOT_SHIFT, TALLY_MASK, TermPostings


class QueryTerm(msgspec.Struct, frozen=True, gc=False):
    """A term of a query that some documents hold."""

    postings: TermPostings
    rarity: float
    everywhere: bool = False
    """Whether it is a stop word: then it is the only one."""


class Ranking:
    """One search for the `limit` best among the slots that `permits` lets through (None: all)."""

    def __init__(
        self,
        impacts: Sequence[float],
        neighbours: Neighbours,
        neighbour_share: float,
        limit: int,
        permits: Callable[[int], bool] | None,
    ) -> None:
        self._impacts = impacts
        self._neighbours = neighbours
        self._share = neighbour_share if neighbours else 0.0
        self._limit = limit
        self._permits = permits
        self._sums: dict[int, float] = {}

    def scores(self, terms: Sequence[QueryTerm]) -> dict[int, float]:
        """Return the scores of permitted slots: of the best with all their equals, and perhaps of others.

        The terms come rarest first, and their parts are added up in that order, whatever is skipped.
        """
        for number, term in enumerate(terms):
            if len(term.postings) >= max(_COMMON, len(self._sums) // 2):
                finalists = self._finalists_before(terms[number:])
                if finalists is not None:
                    return self._with_context(finalists)
            self._read(term)
        return self._with_context(self._within_reach(*self._floor()))

    def _read(self, term: QueryTerm) -> None:
        sums, impacts, rarity = self._sums, self._impacts, term.rarity
        if not sums:
            self._sums = {
                posting >> SLOT_SHIFT: rarity * impacts[posting & TALLY_MASK] for posting in term.postings.read()
            }
            return
        sum_of = sums.get
        for posting in term.postings.read():
            slot = posting >> SLOT_SHIFT
            sums[slot] = sum_of(slot, 0.0) + rarity * impacts[posting & TALLY_MASK]

    def _finalists_before(self, unread: Sequence[QueryTerm]) -> Collection[int] | None:
        """Return who may be among the best, looked up in the unread terms; None: reading on is needed, or cheaper."""
        lift = (1 + self._share) * HIGHEST_IMPACT * sum(term.rarity for term in unread)
        floor, leading_sum = self._floor()
        if floor <= lift:
            return None
        finalists = self._within_reach(floor - lift, leading_sum)
        slots = finalists.union(*map(self._neighbours.of, finalists)) if self._share else finalists
        if len(slots) * len(unread) * _POSTINGS_PER_LOOKUP > sum(len(term.postings) for term in unread):
            return None
        for term in unread:
            for slot in slots:
                tally = term.postings.tally(slot)
                if tally >= 0:
                    self._sums[slot] = self._sums.get(slot, 0.0) + term.rarity * self._impacts[tally]
        return finalists

    def _floor(self) -> tuple[float, float]:
        """Return a score that `limit` results reach already (0: there are not as many), and the least leader's sum."""
        width = _LEADERS_PER_RESULT * self._limit
        while self._sums:
            leading_sum = nlargest(width, self._sums.values())[-1]
            leaders = self._permitted([slot for slot, own in self._sums.items() if own >= leading_sum])
            best = nlargest(self._limit, self._with_context(islice(leaders, width)).values())
            if len(best) == self._limit:
                return best[-1], leading_sum
            if width >= len(self._sums):
                break
            width *= 8
        return 0.0, 0.0

    def _within_reach(self, floor: float, leading_sum: float) -> set[int]:
        """Return the permitted slots that get to `floor`, by themselves or with what a neighbour lends.

        Neighbours with more than `leading_sum` are few and followed one by one; the others lend at most that.
        """
        floor -= _ROUNDING
        sums, share = self._sums, self._share
        lent = share * leading_sum
        reach = {slot for slot, own in sums.items() if own + lent >= floor}
        if share:
            lenders = [slot for slot, own in sums.items() if own > leading_sum or share * own >= floor]
            reach.update(*map(self._neighbours.of, lenders))
            reach.update(lenders)
        return set(self._permitted(reach))

    def _with_context(self, slots: Iterable[int]) -> dict[int, float]:
        if self._share:
            return self._neighbours.lend(self._sums, slots, self._share)
        return {slot: self._sums[slot] for slot in slots}

    def _permitted(self, slots: Collection[int]) -> Collection[int]:
        return slots if self._permits is None else [slot for slot in slots if self._permits(slot)]


_COMMON = 256
"""From as many postings on it pays to see whether a term must be read."""
_POSTINGS_PER_LOOKUP = 12
"""How many postings are read in the time that one document is looked up in a term."""
_LEADERS_PER_RESULT = 2
_ROUNDING = 1e-9
