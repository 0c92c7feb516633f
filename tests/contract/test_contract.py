"""The harness of the contract: what it takes for right, and that its cases are written as it reads them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract.cases import cases
from tests.contract.matching import Mismatch, check, filled
from tests.contract.running import _check_gapless
from tests.contract.table import Outcome, page
from tests.contract.world import TRANSPORTS


@pytest.mark.parametrize(
    ("expected", "came"),
    [
        ({"a": 1}, {"a": 1, "b": 2}),
        ({"revision": 7}, {"revision": "7"}),
        ({"text": "", "items": [], "on": False, "none": {}}, {}),
        ({"layer": "$unknown"}, {"layer": 77}),
        ({"layer": "$unknown"}, {"layer": "LAYER_UNKNOWN"}),
        ({"items": {"$contains": [{"a": 2}]}}, {"items": [{"a": 1}, {"a": 2}]}),
        ({"json": {"$json": {"a": [1]}}}, {"json": '{"a": [1]}'}),
        ({"a": "$same", "b": "$same"}, {"a": "x", "b": "x"}),
        ({"a": {"$not": "y"}}, {"a": "x"}),
    ],
)
def test_what_was_expected_matches(expected: Any, came: Any) -> None:
    check(expected, came, {})


@pytest.mark.parametrize(
    ("expected", "came"),
    [
        ({"a": 1}, {"a": 2}),
        ({"a": 1}, {}),
        ({"on": True}, {}),
        ({"layer": "$unknown"}, {"layer": "LAYER_PROFILE"}),
        ({"a": "$any"}, {"a": ""}),
        ({"items": [{"a": 1}]}, {"items": [{"a": 1}, {"a": 2}]}),
        ({"items": {"$contains": [{"a": 3}]}}, {"items": [{"a": 1}]}),
        ({"a": "$same", "b": "$same"}, {"a": "x", "b": "y"}),
        ({"a": {"$above": 3}}, {"a": "3"}),
    ],
)
def test_what_was_not_expected_does_not_match(expected: Any, came: Any) -> None:
    with pytest.raises(Mismatch):
        check(expected, came, {})


def test_names_are_filled_in_everywhere() -> None:
    names = {"id": "m1", "round": 3}
    assert filled({"a": ["$id"], "b": "round ${round}", "c": "$5 is a price"}, names) == {
        "a": ["m1"],
        "b": "round 3",
        "c": "$5 is a price",
    }


@pytest.mark.parametrize("numbers", [[1, 3], [1, 2, 2], [2, 1], []])
def test_a_stream_that_lost_or_doubled_something_is_found(numbers: list[int]) -> None:
    with pytest.raises(Mismatch, match="lost or doubled"):
        _check_gapless([{"commit": {"revision": str(number)}} for number in numbers])


def test_events_that_came_once_each_are_gapless() -> None:
    _check_gapless([{"number": "1"}, {"progress": {}}, {"number": 2}])
    _check_gapless([{"initial": {}}, {"commit": {"revision": 4}}, {"bookmark": {}}, {"commit": {"revision": "5"}}])


def test_all_cases_can_be_read() -> None:
    assert len(cases()) > 50


def test_a_page_keeps_the_columns_that_were_not_run_anew() -> None:
    seen = [Outcome(case, "python", each) for case in cases() for each in case.transports or TRANSPORTS]
    first = page(seen, "")
    assert "| a stale etag is refused | yes |" in first
    assert "| a token is asked for | yes (TLS) |" in first
    case = next(case for case in cases() if case.name == "a stale etag is refused")
    second = page([Outcome(case, "go", "tcp", unsupported="it has none")], first)
    assert "| a stale etag is refused | yes | no: it has none |" in second
    assert "| a token is asked for | yes (TLS) | not run |" in second
    assert page(seen, second) == second
