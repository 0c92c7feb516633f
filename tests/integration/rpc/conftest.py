from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from rpc_harness import Harness, served

from memsvc.storage.driver import Driver
from memsvc.storage.memory import MemoryDriver
from memsvc.storage.registry import connect


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder whose path leaves room for the name of a socket."""
    with tempfile.TemporaryDirectory(prefix="memsvc") as path:
        yield Path(path)


@pytest.fixture
async def driver() -> AsyncIterator[Driver]:
    driver = MemoryDriver("memory://", {})
    await driver.open()
    yield driver
    await driver.close()


@pytest.fixture
async def server(driver: Driver, folder: Path) -> AsyncIterator[Harness]:
    async with served(driver, folder) as harness:
        yield harness


@pytest.fixture(params=["memory", "sqlite"])
async def each_server(request: pytest.FixtureRequest, folder: Path) -> AsyncIterator[Harness]:
    """The server on every driver that needs nothing but this machine."""
    url = "memory://" if request.param == "memory" else f"sqlite:///{folder}/memsvc.db"
    driver = connect(url)
    await driver.open()
    async with served(driver, folder) as harness:
        yield harness
    await driver.close()
