"""A short fuzz of every method; `make fuzz` is the long one, and `make soak` what takes longest."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.fuzz.run import STALL_SECONDS, fuzz, methods
from tests.soak.run import CALLS, soak
from tests.torture.databases import sqlite

REQUESTS = 3_000


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder whose path leaves room for the name of a socket."""
    with TemporaryDirectory(prefix="fuzz") as path:
        yield Path(path)


@pytest.mark.timeout(300)
async def test_every_answer_is_one_that_the_api_allows(folder: Path) -> None:
    report = await fuzz(folder, REQUESTS, seed=7)

    assert report.findings == []
    assert report.sent >= REQUESTS
    assert {"HTTP 200", "HTTP 400", "HTTP 404"} <= report.statuses.keys()
    assert {"OK", "INVALID_ARGUMENT", "NOT_FOUND", "UNIMPLEMENTED"} <= report.statuses.keys()
    assert report.longest_seconds < STALL_SECONDS
    assert len({method.path for method in methods()}) >= 35


@pytest.mark.timeout(120)
async def test_a_soak_calls_everything_and_samples_what_may_not_grow(folder: Path) -> None:
    report = await soak(sqlite(folder), folder, minutes=0.1, seed=7)

    assert report.unexpected == []
    assert sum(report.calls.values()) > 100
    assert {name.partition(":")[0] for name in report.calls} & CALLS.keys()
    assert all(sample.resident_bytes and sample.descriptors for sample in report.samples)
    assert any(sample.tasks for sample in report.samples)
    assert max(sample.lock_files for sample in report.samples) == min(sample.lock_files for sample in report.samples)
