"""The suite itself: it holds every MUST of the contract, says which, and finds what is broken."""

from __future__ import annotations

import re
from pathlib import Path

from memsvc import errors
from memsvc.storage import driver
from memsvc.storage.conformance import cases
from memsvc.storage.driver import Driver


def test_every_test_that_the_contract_names_exists() -> None:
    named = set(re.findall(r"\btest_\w+", Path(driver.__file__).read_text()))
    assert named
    assert named <= {case.name for case in cases()}


def test_every_test_names_its_line_of_the_contract() -> None:
    for case in cases():
        subject, colon, line = case.contract.partition(": ")
        assert colon, case.name
        assert line, case.name
        for operation in subject.split(", "):
            assert any(hasattr(place, operation) for place in (Driver, driver, errors)), case.name


def test_names_are_unique() -> None:
    names = [case.name for case in cases()]
    assert len(names) == len(set(names))
