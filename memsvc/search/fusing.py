"""The best by words and by meaning, of all slots at once, by numpy: what `fuse` finds one by one, to the last bit."""

from __future__ import annotations

import sys
from collections.abc import Callable
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import msgspec

from memsvc.search.hybrid import LEAST_SIMILARITY, Ranked, weights_of
from memsvc.search.scores import CONTEXT_ALONE

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


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


def best_fused(slots: Slots, wide: int, limit: int) -> list[Ranked[int]]:
    """Return the `limit` best among the `wide` best of each half: best first, of equals the newest."""
    import numpy as np

    by_words = _best(slots, slots.words, _LEAST_SCORE, wide)
    near = _best(slots, slots.nearness, LEAST_SIMILARITY, wide)
    is_said = np.zeros(len(slots.words), np.bool_)
    is_said[by_words] = True
    candidates = np.concatenate((by_words, near[~is_said[near]]))
    if not len(candidates):
        return []
    words = np.zeros(len(candidates))
    words[: len(by_words)] = slots.words[by_words]
    similar = slots.nearness[candidates].astype(np.float64)
    np.maximum(similar, 0.0, out=similar)
    if slots.factors is not None:
        similar *= slots.factors[candidates]
    of_words, of_meaning = weights_of(float(words.max()), float(similar.max()))
    similar *= of_meaning
    scores = of_words * words + similar
    if len(candidates) > limit:
        best = (scores >= np.partition(scores, -limit)[-limit]).nonzero()[0]
        candidates, words, similar, scores = candidates[best], words[best], similar[best], scores[best]
    sure = of_words * np.where(slots.holds[candidates], words, CONTEXT_ALONE * words) + similar
    ranked = list(map(Ranked, candidates.tolist(), scores.tolist(), sure.tolist()))
    if len({each.score for each in ranked}) == len(ranked):
        ranked.sort(key=attrgetter("score"), reverse=True)
    else:
        ranked.sort(key=lambda each: (-each.score, -slots.times[each.item], slots.tie(each.item)))
    return ranked[:limit]


def _best(slots: Slots, own: NDArray[np.float64] | NDArray[np.float32], least: float, limit: int) -> NDArray[np.intp]:
    """Return the `limit` best slots, by their scores, of those with at least so much, in no order."""
    import numpy as np

    if len(own) > limit:
        least = max(least, np.partition(own, -limit)[-limit])
    best: NDArray[np.intp] = (own >= least).nonzero()[0]
    if len(best) <= limit:
        return best
    better = best[own[best] > least]
    return np.concatenate((better, _newest(slots, best[own[best] == least], limit - len(better))))


def _newest(slots: Slots, equals: NDArray[np.intp], limit: int) -> NDArray[np.intp]:
    """Return the `limit` newest of more slots, which have one score."""
    import numpy as np

    times = slots.times[equals]
    least = np.partition(times, -limit)[-limit]
    newer = equals[times > least]
    even = sorted(equals[times == least].tolist(), key=slots.tie)
    return np.concatenate((newer, np.array(even[: limit - len(newer)], np.intp)))


_LEAST_SCORE = sys.float_info.min
