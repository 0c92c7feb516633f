"""A test that takes too long fails alone, whatever it is doing, and the run goes on."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.running import run_tests

CASES = """
import asyncio, time
import pytest
from hypothesis import given, settings, strategies as st

pytestmark = pytest.mark.timeout(1)

@settings(deadline=None)
@given(st.integers())
def test_hangs_in_an_example(number):
    time.sleep(30)

@settings(deadline=None)
@given(st.integers())
def test_is_slow_over_all_examples(number):
    time.sleep(0.3)

async def test_hangs_in_the_event_loop():
    await asyncio.sleep(30)

def test_catches_every_exception():
    while True:
        try:
            time.sleep(30)
        except Exception:
            pass

@pytest.fixture
def stuck_afterwards():
    yield
    time.sleep(30)

def test_hangs_in_its_teardown(stuck_afterwards):
    pass

def test_hangs_twice(stuck_afterwards):
    time.sleep(30)

@pytest.fixture
def stuck_before():
    time.sleep(30)

def test_hangs_in_its_set_up(stuck_before):
    pass

def test_is_reported_slowly():
    pass

def test_passes():
    pass
"""

REPORTS_SLOWLY = """
import time
import pytest

@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    if item.name == "test_is_reported_slowly" and call.when == "call":
        time.sleep(1.5)
    yield
"""

WANTED = {
    "test_hangs_in_an_example": "F",
    "test_is_slow_over_all_examples": "F",
    "test_hangs_in_the_event_loop": "F",
    "test_catches_every_exception": "F",
    "test_hangs_in_its_teardown": ".E",
    "test_hangs_twice": "FE",
    "test_hangs_in_its_set_up": "E",
    "test_is_reported_slowly": ".",
    "test_passes": ".",
}


@pytest.mark.timeout(120)
def test_a_test_that_takes_too_long_fails_alone(tmp_path: Path) -> None:
    (tmp_path / "test_cases.py").write_text(CASES)
    (tmp_path / "conftest.py").write_text(REPORTS_SLOWLY)
    run = run_tests(tmp_path, "tests.timeouts", "-v", "--no-header", "--tb=no")
    assert "INTERNALERROR" not in run.stdout + run.stderr
    found: dict[str, str] = {}
    for name, outcome in re.findall(r"::(\w+) (PASSED|FAILED|ERROR) ", run.stdout):
        found[name] = found.get(name, "") + {"PASSED": ".", "FAILED": "F", "ERROR": "E"}[outcome]
    assert found == WANTED, run.stdout
