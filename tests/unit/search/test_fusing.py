from __future__ import annotations

import importlib
from operator import neg

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memsvc.search.fusing import Slots, best_fused
from memsvc.search.hybrid import LEAST_SIMILARITY, Candidates, Ranked, fuse

pytest.importorskip("numpy")

_JUST_NEAR = 13_421_773 / (1 << 27)
"""The least that is near, as 32 bits have it."""
Slot = tuple[float, bool, float, float, bool, int]
slots_drawn = st.lists(
    st.tuples(
        st.sampled_from([0.0, 0.1, 0.2, 0.7, 1.3]),
        st.booleans(),
        st.sampled_from([-0.5, 0.0, 0.0625, _JUST_NEAR, 0.125, 0.25, 0.75]),
        st.sampled_from([0.25, 0.5, 1.0]),
        st.booleans(),
        st.integers(1, 4),
    ),
    max_size=30,
)


def one_by_one(slots: list[Slot], wide: int, limit: int) -> list[Ranked[int]]:
    def best(scores: dict[int, float]) -> dict[int, float]:
        order = sorted(scores, key=lambda slot: (scores[slot], slots[slot][5], slot), reverse=True)
        return {slot: scores[slot] for slot in order[:wide]}

    words = best({at: words for at, (words, *_, allowed, _) in enumerate(slots) if words > 0 and allowed})
    near = best({at: each[2] for at, each in enumerate(slots) if each[2] >= LEAST_SIMILARITY and each[4]})
    newest_first = sorted({*words, *near}, key=lambda slot: (-slots[slot][5], -slot))
    similarities = {slot: slots[slot][3] * max(0.0, slots[slot][2]) for slot in newest_first}
    return fuse([Candidates(words, similarities, lambda slot: not slots[slot][1])], limit)[:limit]


@given(slots_drawn, st.integers(1, 12), st.integers(1, 8))
def test_all_slots_at_once_give_what_they_give_one_by_one_to_the_last_bit(
    drawn: list[Slot], wide: int, limit: int
) -> None:
    np = importlib.import_module("numpy")
    words, holds, nearness, factors, allowed, times = zip(*drawn, strict=True) if drawn else ((),) * 6
    slots = Slots(
        words=np.array(words, np.float64) * np.array(allowed, np.bool_),
        holds=np.array(holds, np.bool_),
        nearness=np.array(nearness, np.float32) * np.array(allowed, np.bool_),
        factors=np.array(factors, np.float64),
        times=np.array(times, np.int64),
        tie=neg,
    )
    assert best_fused(slots, wide, limit, int) == one_by_one(drawn, wide, limit)
