from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memsvc.search.scores import shown_scores


def test_a_hit_that_only_its_context_fits_is_not_shown_as_certain() -> None:
    assert shown_scores([(1.0, False), (0.71, True)]) == [1.0, pytest.approx(0.355)]
    assert shown_scores([(1.0, True)]) == [0.5]


def test_a_hit_is_shown_at_least_as_sure_as_the_next_one() -> None:
    assert shown_scores([(0.8, True), (0.7, False), (0.2, False)]) == [0.7, 0.7, 0.2]


@given(st.lists(st.tuples(st.floats(0, 3), st.booleans())))
def test_scores_are_in_order_and_within_bounds(drawn: list[tuple[float, bool]]) -> None:
    ranked = sorted(drawn, key=lambda hit: -hit[0])
    shown = shown_scores(ranked)
    assert shown == sorted(shown, reverse=True)
    assert all(0 <= score <= 1 for score in shown)
    assert all(score == min(1.0, own) for score, (own, by_context) in zip(shown, ranked, strict=True) if not by_context)
