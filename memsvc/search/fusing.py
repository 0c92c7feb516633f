"""The best by words and by meaning, of all slots at once, by numpy: what `fuse` finds one by one, to the last bit."""

from __future__ import annotations

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

    said: NDArray[np.intp]
    """The slots with a score by words, in order."""
    words: NDArray[np.float64]
    """The scores of these by words, more than 0, with their factors."""
    holds: NDArray[np.bool_]
    """Whether each slot holds words of the query itself."""
    nearness: NDArray[np.float32]
    """How near the vector of each slot is to the query's."""
    factors: NDArray[np.float64] | None
    """What the nearness of each slot is multiplied by; None: 1."""
    times: NDArray[np.int64]
    tie: Callable[[int], Any]
    """Orders those of one score and one time: the least comes first."""


def best_fused(slots: Slots, wide: int, limit: int) -> list[Ranked[int]]:
    """Return the `limit` best among the `wide` best of each half: best first, of equals the newest."""
    import numpy as np

    by_words, words = slots.said, slots.words
    if len(by_words) > wide:
        chosen = _best(slots, by_words, words, wide)
        by_words, words = by_words[chosen], words[chosen]
    near = _nearest(slots, wide)
    said = np.zeros(len(slots.nearness))
    said[by_words] = words
    candidates = np.concatenate((by_words, near[said[near] == 0.0]))
    if not len(candidates):
        return []
    words = said[candidates]
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


def _nearest(slots: Slots, wide: int) -> NDArray[np.intp]:
    """Return the `wide` nearest slots of those that are near enough, in no order."""
    import numpy as np

    least = np.float32(LEAST_SIMILARITY)
    if len(slots.nearness) > wide:
        least = max(least, np.partition(slots.nearness, -wide)[-wide])
    near = (slots.nearness >= least).nonzero()[0]
    return near if len(near) <= wide else near[_best(slots, near, slots.nearness[near], wide)]


def _best(
    slots: Slots, some: NDArray[np.intp], own: NDArray[np.float64] | NDArray[np.float32], limit: int
) -> NDArray[np.intp]:
    """Return where among more than `limit` slots the best of them by their scores are, in no order."""
    import numpy as np

    least = np.partition(own, -limit)[-limit]
    best: NDArray[np.intp] = (own >= least).nonzero()[0]
    if len(best) == limit:
        return best
    better, equals = (own > least).nonzero()[0], (own == least).nonzero()[0]
    return np.concatenate((better, _newest(slots, some, equals, limit - len(better))))


def _newest(slots: Slots, some: NDArray[np.intp], equals: NDArray[np.intp], limit: int) -> NDArray[np.intp]:
    """Return the `limit` newest of those of some slots that have one score."""
    import numpy as np

    if len(equals) <= limit:
        return equals
    times = slots.times[some[equals]]
    least = np.partition(times, -limit)[-limit]
    newer = equals[times > least]
    even = sorted(equals[times == least].tolist(), key=lambda at: slots.tie(some[at].item()))
    return np.concatenate((newer, np.array(even[: limit - len(newer)], np.intp)))
