"""A short torture of every database; `make torture` is the long one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import must_have
from tests.torture.databases import DATABASES, Database
from tests.torture.run import torture

ROUNDS = 4
MARKS = {"postgres": pytest.mark.postgresql, "redis": pytest.mark.redis, "mongo": pytest.mark.mongodb}


@pytest.fixture(params=[pytest.param(name, marks=MARKS.get(name, ())) for name in DATABASES])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    database = must_have(DATABASES[request.param], tmp_path)
    yield database
    database.close()


@pytest.mark.timeout(300)
async def test_killed_at_random_it_loses_and_doubles_nothing(database: Database, tmp_path: Path) -> None:
    report = await torture(database, tmp_path, ROUNDS, seed=7)
    assert report.findings == ()
    assert report.acknowledged
    assert report.kills + report.database_kills >= ROUNDS
