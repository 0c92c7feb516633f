"""A short torture of every database; `make torture` is the long one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import NETWORKED, own_database
from tests.torture.databases import Database
from tests.torture.run import torture

ROUNDS = 4


@pytest.fixture(params=["sqlite", *NETWORKED])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    yield from own_database(request.param, tmp_path)


@pytest.mark.timeout(300)
async def test_killed_at_random_it_loses_and_doubles_nothing(database: Database, tmp_path: Path) -> None:
    report = await torture(database, tmp_path, ROUNDS, seed=7)
    assert report.findings == ()
    assert report.acknowledged
    assert report.kills + report.database_kills >= ROUNDS
