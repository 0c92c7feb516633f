from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from copying_stores import LIVED_IN, Stores
from houses import House, live_in

from memsvc.storage.registry import connect


@pytest.fixture
async def stores(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Stores]:
    async with AsyncExitStack() as stack:
        yield Stores(stack, request, tmp_path)


@pytest.fixture(scope="session")
def house() -> House:
    """What those know who lived in the store that `Stores.lived_in` opens."""

    async def live() -> House:
        driver = connect(LIVED_IN)
        await driver.open()
        return await live_in(driver)

    return asyncio.run(live())
