"""The best by words and by meaning, of all slots at once, by numpy: what `fuse` finds one by one, to the last bit."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
    nearness: NDArray[np.float64]
    """How near its vector is to the query's."""
    factors: NDArray[np.float64]
    """What its nearness is multiplied by."""
    allowed: NDArray[np.bool_]
    """Whether it may be returned."""
    times: NDArray[np.int64]


def best_fused(slots: Slots, wide: int, limit: int) -> list[Ranked[int]]:
    """Return the `limit` best, best first, of equals the newest, then the last: among the `wide` best of each half."""
    import numpy as np

    by_words = _best(slots, slots.words, np.flatnonzero(slots.allowed & (slots.words > 0)), wide)
    near = np.flatnonzero(slots.allowed & (slots.nearness >= LEAST_SIMILARITY))
    candidates = np.union1d(by_words, _best(slots, slots.nearness, near, wide))
    if not len(candidates):
        return []
    words = np.zeros(len(slots.words))
    words[by_words] = slots.words[by_words]
    similar = slots.factors * np.maximum(slots.nearness, 0.0)
    of_words, of_meaning = weights_of(float(words.max()), float(similar[candidates].max()))
    scores = of_words * words + of_meaning * similar
    best = _best(slots, scores, candidates, limit)
    best = best[_order(slots, scores, best)]
    sure = of_words * np.where(slots.holds, words, CONTEXT_ALONE * words) + of_meaning * similar
    return list(map(Ranked, best.tolist(), scores[best].tolist(), sure[best].tolist()))


def _best(slots: Slots, scores: NDArray[np.float64], some: NDArray[np.intp], limit: int) -> NDArray[np.intp]:
    """Return the `limit` best of some slots."""
    import numpy as np

    if len(some) <= limit:
        return some
    own = scores[some]
    some = some[own >= np.partition(own, -limit)[-limit]]
    return some if len(some) == limit else some[_order(slots, scores, some)[:limit]]


def _order(slots: Slots, scores: NDArray[np.float64], some: NDArray[np.intp]) -> NDArray[np.intp]:
    import numpy as np

    return np.lexsort((-some, -slots.times[some], -scores[some]))
