from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from memsvc.storage.driver import Driver
from memsvc.storage.memory import MemoryDriver
from memsvc.users import Users
from memsvc.writing.writer import Writer


@pytest.fixture
async def driver() -> AsyncIterator[Driver]:
    driver = MemoryDriver("memory://", {})
    await driver.open()
    yield driver
    await driver.close()


@pytest.fixture
def users(driver: Driver) -> Users:
    return Users(driver)


@pytest.fixture
async def writer(users: Users) -> AsyncIterator[Writer]:
    writer = Writer(users)
    yield writer
    await writer.close()
