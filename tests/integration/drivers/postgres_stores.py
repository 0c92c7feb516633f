"""Postgres as the tests of its driver want it: stores, waiting for what must come."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from memsvc.errors import StorageUnavailable
from memsvc.model import Scope
from memsvc.storage.conformance import Place
from memsvc.storage.driver import Driver
from tests.servers.given import GivenServer
from tests.servers.postgres import Postgres

PATIENT = {"connect_timeout_ms": "15000", "operation_timeout_ms": "15000"}
"""A server that is gone refuses at once; one that is busy with other tests may take long."""
SARAH = Scope("default", "sarah")

MakePostgres = Callable[..., Postgres]
AnyPostgres = Postgres | GivenServer


def place(url: str, **options: str) -> Place:
    """Return a store of the driver, with long timeouts unless others are given."""
    return Place(url, {**PATIENT, **options})


@asynccontextmanager
async def scratch(server: AnyPostgres, **options: str) -> AsyncIterator[Place]:
    """Return an empty store on a server that is shared."""
    there = place(server.url, **options)
    async with there.bench().scratch(there) as empty:
        yield empty


async def until_served(call: Callable[[], Awaitable[object]]) -> None:
    """Return once the store is available."""
    async with asyncio.timeout(20):
        while True:
            try:
                await call()
            except StorageUnavailable:
                await asyncio.sleep(0.02)
            else:
                return


async def until(condition: Callable[[], bool]) -> None:
    """Return once it holds."""
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.02)


def sessions(server: Postgres) -> int:
    """Return how many connections drivers have to this server."""
    return int(server.sql("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'memsvc'"))


def users(count: int) -> list[Scope]:
    """Return users that nobody else has."""
    namespace = f"test-{secrets.token_hex(6)}"
    return [Scope(namespace, f"user-{number:03}") for number in range(count)]


async def refused(driver: Driver) -> StorageUnavailable:
    """Open a driver that must not open, and return why it does not."""
    try:
        await driver.open()
    except StorageUnavailable as error:
        return error
    finally:
        await driver.close()
    raise AssertionError("the driver opened")
