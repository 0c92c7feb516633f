"""The best by words and by meaning, of all slots at once, by numpy: what `fuse` finds one by one, to the last bit."""

from __future__ import annotations

import sys
from collections.abc import Callable
from operator import itemgetter
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from memsvc.search.hybrid import LEAST_SIMILARITY, Ranked, weights_of
from memsvc.search.scores import CONTEXT_ALONE

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

T = TypeVar("T")


class Slots(msgspec.Struct, frozen=True):
    """What there is to know of each slot for one query. One that may not be returned has no score, and is not near."""

    words: NDArray[np.float64]
    """Its score by words, with its factor."""
    holds: NDArray[np.bool_]
    """Whether it holds words of the query itself."""
    nearness: NDArray[np.float32]
    """How near its vector is to the query's."""
    factors: NDArray[np.float64] | None
    """What its nearness is multiplied by; None: 1."""
    times: NDArray[np.int64]
    tie: Callable[[int], Any]
    """Orders those of one score and one time: the least comes first."""


def best_fused(slots: Slots, wide: int, limit: int, item_of: Callable[[int], T]) -> list[Ranked[T]]:
    """Return the `limit` best among the `wide` best of each half: best first, of equals the newest."""
    import numpy as np

    by_words = _best(slots, slots.words, _LEAST_SCORE, wide)
    candidates = (by_words | _best(slots, slots.nearness, LEAST_SIMILARITY, wide)).nonzero()[0]
    if not len(candidates):
        return []
    words = slots.words[candidates]
    words *= by_words[candidates]
    similar = slots.nearness[candidates].astype(np.float64)
    np.maximum(similar, 0.0, out=similar)
    if slots.factors is not None:
        similar *= slots.factors[candidates]
    of_words, of_meaning = weights_of(float(np.maximum.reduce(words)), float(np.maximum.reduce(similar)))
    similar *= of_meaning
    scores = of_words * words
    scores += similar
    if len(candidates) > limit:
        best = (scores >= _nth_largest(scores, limit)).nonzero()[0]
        candidates, words, similar, scores = candidates[best], words[best], similar[best], scores[best]
    found = [
        (score, slot, of_words * (own if held else CONTEXT_ALONE * own) + near)
        for score, slot, own, near, held in zip(
            scores.tolist(),
            candidates.tolist(),
            words.tolist(),
            similar.tolist(),
            slots.holds[candidates].tolist(),
            strict=True,
        )
    ]
    found.sort(key=itemgetter(0), reverse=True)
    if len({score for score, _, _ in found}) < len(found):
        found.sort(key=lambda each: (-each[0], -slots.times[each[1]], slots.tie(each[1])))
    return [Ranked(item_of(slot), score, sure) for score, slot, sure in found[:limit]]


def _best(slots: Slots, own: NDArray[np.float64] | NDArray[np.float32], least: float, limit: int) -> NDArray[np.bool_]:
    """Return which slots are the `limit` best, by their scores, of those with at least so much."""
    import numpy as np

    if len(own) > limit:
        least = max(least, _nth_largest(own, limit))
    best: NDArray[np.bool_] = own >= least
    if np.count_nonzero(best) > limit:
        equals = (own == least).nonzero()[0]
        best[equals] = False
        best[_newest(slots, equals, limit - int(np.count_nonzero(best)))] = True
    return best


def _nth_largest(own: NDArray[Any], number: int) -> Any:
    ordered = own.copy()
    # Not by `np.partition`, whose detour through Python costs as much as it does.
    ordered.partition(len(own) - number)
    return ordered[-number]


def _newest(slots: Slots, equals: NDArray[np.intp], limit: int) -> NDArray[np.intp]:
    """Return the `limit` newest of more slots, which have one score."""
    import numpy as np

    times = slots.times[equals]
    least = _nth_largest(times, limit)
    newer = equals[times > least]
    even = sorted(equals[times == least].tolist(), key=slots.tie)
    return np.concatenate((newer, np.array(even[: limit - len(newer)], np.intp)))


_LEAST_SCORE = sys.float_info.min
