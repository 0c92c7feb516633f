"""By words and by meaning: what either finds, fused.

A weighted sum of scores, each divided by its maximum. (Sums of reciprocal ranks lose where one half is weak.) Where
even the best hit holds little of what is asked, words count for less: a question that is put in other words than its
answer always shares some of them with something else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from operator import attrgetter
from typing import Generic, TypeVar

import msgspec

from memsvc.search.corpus import Corpus
from memsvc.search.lexical import NOTHING, LexicalIndex
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


class Candidates(msgspec.Struct, Generic[T], frozen=True):
    """What either half found of one source: what may be among the best."""

    words: Mapping[T, float]
    """What was found by its words, and its score."""
    similarities: Mapping[T, float]
    """How near each candidate is, found by its words or not. Of equals the first is the better one."""
    by_context: Callable[[T], bool]
    """Whether only what was said next to it holds words of the query. Asked of few, and until the next change."""


class Ranked(msgspec.Struct, Generic[T], frozen=True):
    """A candidate's place in the order, and how sure its score makes of it."""

    item: T
    score: float
    sure: float
    source: int = 0
    """Which of the sources that were searched together it is from."""


def candidates(
    index: LexicalIndex,
    vectors: VectorIndex[str] | None,
    asked: Asked,
    limit: int,
    allowed: Callable[[str], bool] | None = None,
    corpus: Corpus | None = None,
) -> Candidates[str]:
    """Return the ids of what may be among the `limit` best, with what each half says of it."""
    if vectors is None or not asked.vector:
        by_words = index.find(asked.text, limit, allowed, corpus) if asked.by_words else NOTHING
        return Candidates(by_words.scores, dict.fromkeys(by_words.scores, 0.0), by_words.by_context)
    wide = width_of(limit)
    by_words = index.find(asked.text, wide, allowed, corpus) if asked.by_words else NOTHING
    similarities = vectors.similarities(asked.vector)
    near = similarities.nearest(LEAST_SIMILARITY, wide, allowed)
    return Candidates(by_words.scores, {**similarities.of_each(by_words.scores), **near}, by_words.by_context)


def weights_of(most_words: float, most_similar: float) -> tuple[float, float]:
    """Return what scores by words and by meaning are multiplied by before they are added, from the best of each."""
    if not most_similar or not most_words:
        return 1.0, 1.0
    # The better half says how sure the best hit is.
    certainty = max(min(1.0, most_words), most_similar)
    of_words = certainty * LEXICAL_SHARE / max(most_words, LEAST_BEST_WORDS)
    return of_words, certainty * (1 - LEXICAL_SHARE) / most_similar


def width_of(limit: int) -> int:
    """Return how many of the best of each half may be among the `limit` best of both."""
    return max(_CANDIDATES, min(_CANDIDATES_A_RESULT * limit, limit + _MORE_CANDIDATES))


def fuse(sources: Sequence[Candidates[T]], limit: int = 0) -> list[Ranked[T]]:
    """Return the candidates of all sources with their scores, best first; of equals the order that they came in.

    With a limit: the `limit` best, and all equals of the last.
    """
    most_words = max((score for each in sources for score in each.words.values()), default=0.0)
    most_similar = max((score for each in sources for score in each.similarities.values()), default=0.0)
    of_words, of_meaning = weights_of(most_words, most_similar)
    scores = [
        [of_words * each.words.get(item, 0.0) + of_meaning * near for item, near in each.similarities.items()]
        for each in sources
    ]
    ordered = sorted(chain.from_iterable(scores), reverse=True)
    least = ordered[limit - 1] if 0 < limit < len(ordered) else 0.0
    ranked = []
    for number, (each, its_scores) in enumerate(zip(sources, scores, strict=True)):
        for score, (item, near) in zip(its_scores, each.similarities.items(), strict=True):
            if score >= least:
                words = each.words.get(item, 0.0)
                words = words and sure_score(words, each.by_context(item))
                ranked.append(Ranked(item, score, of_words * words + of_meaning * near, number))
    ranked.sort(key=attrgetter("score"), reverse=True)
    return ranked
