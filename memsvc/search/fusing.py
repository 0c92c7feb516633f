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
    """What there is to know of each slot for one query: arrays of one length."""

    words: NDArray[np.float64]
    """Its score by words, with its factor."""
    holds: NDArray[np.bool_]
    """Whether it holds words of the query itself."""
    nearness: NDArray[np.float32]
    """How near its vector is to the query's."""
    factors: NDArray[np.float64] | None
    """What its nearness is multiplied by; None: 1."""
    allowed: NDArray[np.bool_]
    """Whether it may be returned."""
    times: NDArray[np.int64]
    tie: Callable[[int], Any]
    """Orders those of one score and one time: the least comes first."""


def best_fused(slots: Slots, wide: int, limit: int) -> list[Ranked[int]]:
    """Return the `limit` best among the `wide` best of each half: best first, of equals the newest."""
    import numpy as np

    said = np.flatnonzero(slots.allowed & (slots.words > 0))
    by_words = _best(slots, said, slots.words[said], wide)
    near = np.flatnonzero(slots.allowed & (slots.nearness >= LEAST_SIMILARITY))
    chosen = np.zeros(len(slots.words), np.bool_)
    chosen[by_words] = True
    chosen[_best(slots, near, slots.nearness[near], wide)] = True
    candidates = np.flatnonzero(chosen)
    if not len(candidates):
        return []
    words = np.zeros(len(candidates))
    words[np.searchsorted(candidates, by_words)] = slots.words[by_words]
    similar = np.maximum(slots.nearness[candidates], 0.0).astype(np.float64)
    if slots.factors is not None:
        similar *= slots.factors[candidates]
    of_words, of_meaning = weights_of(float(words.max()), float(similar.max()))
    scores = of_words * words + of_meaning * similar
    holds = slots.holds[candidates]
    sure = of_words * np.where(holds, words, CONTEXT_ALONE * words) + of_meaning * similar
    places = np.searchsorted(candidates, _best(slots, candidates, scores, limit))
    best = list(map(Ranked, candidates[places].tolist(), scores[places].tolist(), sure[places].tolist()))
    if len(set(scores[places].tolist())) == len(best):
        best.sort(key=attrgetter("score"), reverse=True)
    else:
        best.sort(key=lambda each: (-each.score, -slots.times[each.item], slots.tie(each.item)))
    return best


def _best(
    slots: Slots, some: NDArray[np.intp], own: NDArray[np.float64] | NDArray[np.float32], limit: int
) -> NDArray[np.intp]:
    """Return the `limit` best of some slots, by their scores, in no order."""
    import numpy as np

    if len(some) <= limit:
        return some
    least = np.partition(own, -limit)[-limit]
    better = some[own > least]
    return np.concatenate([better, _newest(slots, some[own == least], limit - len(better))])


def _newest(slots: Slots, equals: NDArray[np.intp], limit: int) -> NDArray[np.intp]:
    """Return the `limit` newest of slots with one score."""
    import numpy as np

    if len(equals) <= limit:
        return equals
    times = slots.times[equals]
    least = np.partition(times, -limit)[-limit]
    newer = equals[times > least]
    even = sorted(equals[times == least].tolist(), key=slots.tie)
    return np.concatenate([newer, np.array(even[: limit - len(newer)], np.intp)])
