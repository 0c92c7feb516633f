"""Stores to copy between: empty ones of every driver, and one that was lived in."""

from __future__ import annotations

import secrets
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from memsvc.storage.conformance import Place
from memsvc.storage.driver import Driver
from memsvc.storage.registry import connect

LIVED_IN = "memory://lived-in"
SERVERS = {"postgresql": "postgres_server", "redis": "redis_server", "mongodb": "mongodb_server"}
NETWORKED = [pytest.param(name, marks=getattr(pytest.mark, name)) for name in SERVERS]
DRIVERS = ["memory", "sqlite", *NETWORKED]


class Stores:
    """Makes empty stores, opens them, and closes them after the test."""

    def __init__(self, stack: AsyncExitStack, request: pytest.FixtureRequest, folder: Path) -> None:
        self._stack = stack
        self._request = request
        self._folder = folder

    async def place(self, name: str) -> Place:
        """Return an empty store of a driver."""
        match name:
            case "memory":
                return Place(f"memory://{secrets.token_hex(8)}", {})
            case "sqlite":
                return Place(f"sqlite:///{self._folder}/{secrets.token_hex(4)}.db", {})
        place = Place(self._request.getfixturevalue(SERVERS[name]).url, {})
        return await self._stack.enter_async_context(place.bench().scratch(place))

    async def new(self, name: str) -> Driver:
        """Return an empty store of a driver, open."""
        place = await self.place(name)
        driver: Driver = await self.opened(place.connect())
        return driver

    async def opened(self, driver: Any) -> Any:
        """Open a driver of the test's own."""
        await driver.open()
        self._stack.push_async_callback(driver.close)
        return driver

    async def lived_in(self) -> Driver:
        """Return the store of the fixture `house`: to be read only."""
        driver: Driver = await self.opened(connect(LIVED_IN))
        return driver
