"""A short torture of every database; `make torture` is the long one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from memsvc.config import DEFAULTS
from tests.conftest import NETWORKED, own_database
from tests.torture.databases import Database
from tests.torture.run import SMALL_CACHE_BYTES, torture

ROUNDS = 4


@pytest.fixture(params=["sqlite", *NETWORKED])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    yield from own_database(request.param, tmp_path)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("cache_bytes", [DEFAULTS.cache_bytes, SMALL_CACHE_BYTES], ids=["roomy", "two_users"])
async def test_killed_at_random_it_loses_doubles_and_refuses_nothing(
    database: Database, tmp_path: Path, cache_bytes: int
) -> None:
    report = await torture(database, tmp_path, ROUNDS, seed=7, cache_bytes=cache_bytes)
    assert report.findings == ()
    assert report.acknowledged
    assert report.kills + sum(map(len, report.pauses.values())) >= ROUNDS
