"""A short torture; `make torture` is the long one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.torture.databases import sqlite
from tests.torture.run import torture


@pytest.mark.timeout(120)
async def test_a_server_killed_at_random_loses_and_doubles_nothing(tmp_path: Path) -> None:
    report = await torture(sqlite(tmp_path), tmp_path, rounds=4, seed=7)
    assert report.findings == ()
    assert report.acknowledged > 100
    assert report.kills >= 4
