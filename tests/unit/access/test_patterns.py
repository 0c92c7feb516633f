from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memsvc.access.patterns import NamePattern

FEW = st.text("ab*-", max_size=8)


@given(FEW, st.text("ab-", max_size=12))
def test_a_star_is_anything_and_all_else_itself(pattern: str, name: str) -> None:
    expected = re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), name, re.DOTALL) is not None
    assert NamePattern(pattern).matches(name) is expected


@pytest.mark.parametrize(
    ("pattern", "name", "matches"),
    [
        ("cust-*", "cust-", True),
        ("cust-*", "Cust-1", False),
        ("*", "", True),
        ("", "", True),
        ("[ab]?", "[ab]?", True),
        ("[ab]?", "ab", False),
        ("team:*:x", "team:a:b:x", True),
        ("a*a", "a", False),
        ("*ü*", "für", True),
    ],
)
def test_patterns(pattern: str, name: str, matches: bool) -> None:
    assert NamePattern(pattern).matches(name) is matches


def test_no_pattern_takes_long() -> None:
    began = time.process_time()
    assert not NamePattern("*a" * 60 + "*b").matches("a" * 256)
    assert time.process_time() - began < 0.5
