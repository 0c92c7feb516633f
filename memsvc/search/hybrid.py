"""By words and by meaning: what either finds, fused.

A weighted sum of scores, each divided by its maximum. (Sums of reciprocal ranks lose where one half is weak.) Where
even the best hit holds little of what is asked, words count for less: a question that is put in other words than its
answer always shares some of them with something else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from heapq import nlargest
from itertools import islice
from operator import attrgetter
from typing import Generic, TypeVar

import msgspec

from memsvc.search.corpus import Corpus
from memsvc.search.lexical import LexicalIndex
from memsvc.search.scores import sure_score
from memsvc.search.vectors import VectorIndex

T = TypeVar("T")

LEXICAL_SHARE = 0.6
LEAST_BEST_WORDS = 0.4
"""From here on the best hit by words counts in full: it holds so much of the query."""
LEAST_SIMILARITY = 0.1
"""What is less near is found by its words, or not at all."""
_CANDIDATES = 50
_CANDIDATES_A_RESULT = 5
_MORE_CANDIDATES = 100
"""Than results, where many are asked for: what one half has further down than that, the other has to lift alone."""


class Asked(msgspec.Struct, frozen=True):
    """A query, and how it is looked for."""

    text: str
    vector: bytes = b""
    """Empty: by words alone."""
    by_words: bool = True


class Candidate(msgspec.Struct, Generic[T], frozen=True):
    """A memory that either half found."""

    item: T
    words: float = 0.0
    by_context: bool = False
    similarity: float = 0.0


class Ranked(msgspec.Struct, Generic[T], frozen=True):
    """A candidate's place in the order, and how sure its score makes of it."""

    item: T
    score: float
    sure: float


def candidates(
    index: LexicalIndex,
    vectors: VectorIndex | None,
    asked: Asked,
    limit: int,
    allowed: Callable[[str], bool] | None = None,
    corpus: Corpus | None = None,
) -> Sequence[Candidate[str]]:
    """Return the ids of what may be among the `limit` best, with what each half says of it."""
    if vectors is None or not asked.vector:
        hits = index.search(asked.text, limit, allowed, corpus) if asked.by_words else ()
        return [Candidate(hit.memory_id, hit.score, hit.by_context) for hit in hits]
    similarities = vectors.similarities(asked.vector)
    wide = max(_CANDIDATES, min(_CANDIDATES_A_RESULT * limit, limit + _MORE_CANDIDATES))
    found = {}
    for hit in index.search(asked.text, wide, allowed, corpus) if asked.by_words else ():
        found[hit.memory_id] = Candidate(hit.memory_id, hit.score, hit.by_context, similarities.of(hit.memory_id))
    for memory_id, similarity in islice(similarities.nearest(LEAST_SIMILARITY, allowed), wide):
        if memory_id not in found:
            found[memory_id] = Candidate(memory_id, similarity=similarity)
    return list(found.values())


def fuse(found: Sequence[Candidate[T]], limit: int | None = None) -> list[Ranked[T]]:
    """Return the candidates with their scores, best first; of equals the order that they came in.

    With a limit: the `limit` best, and all equals of the last.
    """
    most_words = max((each.words for each in found), default=0.0)
    most_similar = max((each.similarity for each in found), default=0.0)
    if not most_similar or not most_words:
        of_words, of_meaning = 1.0, 1.0
    else:
        # The better half says how sure the best hit is.
        certainty = max(min(1.0, most_words), most_similar)
        of_words = certainty * LEXICAL_SHARE / max(most_words, LEAST_BEST_WORDS)
        of_meaning = certainty * (1 - LEXICAL_SHARE) / most_similar
    scores = [of_words * each.words + of_meaning * each.similarity for each in found]
    least = nlargest(limit, scores)[-1] if limit and len(scores) > limit else 0.0
    ranked = []
    for score, each in zip(scores, found, strict=True):
        if score >= least:
            sure = of_words * sure_score(each.words, each.by_context) + of_meaning * each.similarity
            ranked.append(Ranked(each.item, score, sure))
    ranked.sort(key=attrgetter("score"), reverse=True)
    return ranked
