from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from memsvc.storage.driver import Driver
from memsvc.storage.memory import MemoryDriver
from tests.integration.http.http_harness import HttpHarness, served_http


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="memsvc") as path:
        yield Path(path)


@pytest.fixture
async def driver() -> AsyncIterator[Driver]:
    driver = MemoryDriver("memory://", {})
    await driver.open()
    yield driver
    await driver.close()


@pytest.fixture
async def http(driver: Driver, folder: Path) -> AsyncIterator[HttpHarness]:
    async with served_http(driver, folder) as harness:
        yield harness
