"""Several users searched as one: a word counts for as much in each, so that their scores compare."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from memsvc.model import Memory
from memsvc.search.corpus import Corpus
from memsvc.search.hybrid import Asked, Candidates, Ranked, fuse


class Searchable(Protocol):
    """The memories of one user."""

    def corpus(self, query: str) -> Corpus:
        """Return what these memories add to how much each term of the query counts."""

    def candidates(
        self,
        asked: Asked,
        limit: int,
        allowed: Callable[[str], bool] | None = None,
        corpus: Corpus | None = None,
    ) -> Candidates[str]:
        """Return the ids of the visible memories that may be among the `limit` best."""

    def best(self, asked: Asked, limit: int) -> list[Ranked[Memory]] | None:
        """Return the `limit` best, where no other user is searched, faster; None: that has to be `fuse`."""

    def get(self, memory_id: str) -> Memory | None:
        """Return a visible memory."""


class Part(msgspec.Struct, frozen=True):
    """One user of those who are searched together."""

    source: Searchable
    allowed: Callable[[str], bool] | None = None
    """Whether a memory may be returned; what may not still counts for how rare its words are."""
    returned: bool = True
    """Whether any may: the memories of the others count for how rare words are, and no more."""


def nearest_together(parts: Sequence[Part], asked: Asked, limit: int) -> list[Ranked[Memory]]:
    """Return the memories that may be among the `limit` best of all parts, each with its part's index as `source`.

    Best first; of equals the newest, then the smaller id.
    """
    part = parts[0]
    if len(parts) == 1 and part.allowed is None and part.returned:
        alone = part.source.best(asked, limit)
        if alone is not None:
            return alone
    # A memory is read for those alone that may be returned: there are many more candidates.
    best = []
    for ranked in _fused(parts, asked, limit):
        memory = parts[ranked.source].source.get(ranked.item)
        if memory is not None:
            best.append(Ranked(memory, ranked.score, ranked.sure, ranked.source))
    best.sort(key=lambda each: (-each.score, -each.item.update_time, each.item.memory_id))
    return best


def _fused(parts: Sequence[Part], asked: Asked, limit: int) -> list[Ranked[str]]:
    corpus = None
    if len(parts) > 1 and asked.by_words:
        corpus = Corpus.together(part.source.corpus(asked.text) for part in parts)
    found = [
        part.source.candidates(asked, limit, part.allowed, corpus) if part.returned else _NO_CANDIDATES
        for part in parts
    ]
    return fuse(found, limit)


_NO_CANDIDATES = Candidates[str]({}, {}, lambda memory_id: False)
