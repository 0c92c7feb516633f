"""What of an index decides how much each term of a query counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

import msgspec

from memsvc.search.bm25 import is_lent, rarity
from memsvc.search.postings import TermPostings
from memsvc.search.ranking import QueryTerm


class Corpus(msgspec.Struct, frozen=True):
    """How many documents there are, how long they are, and how many hold each term of a query: what makes a term count
    for more or less."""

    count: int
    total_length: int
    holders: Mapping[str, int]

    @classmethod
    def together(cls, parts: Iterable[Corpus]) -> Corpus:
        """Return what several indexes are as one, so that the scores of one search over all of them compare."""
        count, total_length, holders = 0, 0, Counter[str]()
        for part in parts:
            count += part.count
            total_length += part.total_length
            holders.update(part.holders)
        return cls(count, total_length, holders)

    @property
    def mean_length(self) -> int:
        return max(1, round(self.total_length / self.count)) if self.count else 1

    @property
    def all_once(self) -> float:
        """The sum that a document of mean length gets which holds each term of the query once."""
        return sum(rarity(self.count, holders) for holders in self.holders.values())

    def has_everywhere(self, term: str) -> bool:
        """Whether so many documents hold a term that it is a stop word here, like a name that starts each of them."""
        return self.holders[term] >= _MANY_HOLDERS and self.holders[term] > 0.75 * self.count

    def terms_in(self, postings: Mapping[str, TermPostings]) -> list[QueryTerm]:
        """Return the terms of the query that an index has, rarest first, within limits: `postings` are those it has."""
        by_rarity = sorted((self.holders[term], term, held) for term, held in postings.items() if held)
        known: list[QueryTerm] = []
        total = 0
        for holders, term, held in by_rarity[:_MOST_TERMS]:
            total += len(held)
            everywhere = self.has_everywhere(term)
            if known and (total > _MOST_POSTINGS or everywhere):
                break
            lent = is_lent(self.count, holders)
            known.append(QueryTerm(held, rarity(self.count, holders), lent, everywhere))
        return known


_MOST_TERMS = 64
_MOST_POSTINGS = 50_000
_MANY_HOLDERS = 256
