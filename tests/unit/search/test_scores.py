from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memsvc.search.hybrid import Candidates, fuse
from memsvc.search.scores import shown_scores, sure_score


def test_a_hit_that_only_its_context_fits_is_not_shown_as_certain() -> None:
    assert shown_scores([sure_score(1.0, False), sure_score(0.71, True)]) == [1.0, pytest.approx(0.355)]
    assert shown_scores([sure_score(1.0, True)]) == [0.5]


def test_a_hit_is_shown_at_least_as_sure_as_the_next_one() -> None:
    assert shown_scores([0.4, 0.7, 0.2]) == [0.7, 0.7, 0.2]


@given(st.lists(st.floats(0, 3)))
def test_scores_are_in_order_and_within_bounds(sure: list[float]) -> None:
    shown = shown_scores(sure)
    assert shown == sorted(shown, reverse=True)
    assert all(0 <= score <= 1 for score in shown)
    assert shown_scores(sorted(sure, reverse=True)) == [min(1.0, score) for score in sorted(sure, reverse=True)]


def test_a_hit_that_shares_a_word_in_passing_does_not_outweigh_what_is_meant() -> None:
    assert fused({"the week": 0.1}, {"an answer in other words": 0.6}) == ["an answer in other words", "the week"]
    by_words = {"an answer in the same words": 0.6}
    assert fused(by_words, {"an answer in other words": 0.6}) == [*by_words, "an answer in other words"]


def fused(words: dict[str, float], near: dict[str, float]) -> list[str]:
    candidates = Candidates(words, {**dict.fromkeys(words, 0.0), **near}, lambda _: False)
    return [each.item for each in fuse([candidates])]
