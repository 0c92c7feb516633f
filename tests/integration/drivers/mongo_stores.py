"""MongoDB as the tests of its driver want it: stores of their own, a look into the collections, a clock to turn."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from memsvc.storage.conformance import Place
from memsvc_drivers.mongo.client import Client
from memsvc_drivers.mongo.conformance import Bench
from memsvc_drivers.mongo.driver import MongoDriver
from memsvc_drivers.mongo.journal import Journal
from memsvc_drivers.mongo.knowledge import Knowledge
from memsvc_drivers.mongo.projection import Projection
from memsvc_drivers.mongo.schema import Collections, collections
from memsvc_drivers.mongo.settings import parse_settings
from memsvc_drivers.mongo.versions import Versions

NEVER = {"projection_delay_ms": "60000"}


@asynccontextmanager
async def empty_store(url: str) -> AsyncIterator[str]:
    """Return the URL of a database of this test's own."""
    async with Bench().scratch(Place(url, {})) as place:
        yield place.url


@asynccontextmanager
async def opened(url: str, *, clock: Callable[[], float] = time.time, **options: str) -> AsyncIterator[MongoDriver]:
    """Return an open driver."""
    driver = MongoDriver(url, options, clock=clock)
    await driver.open()
    try:
        yield driver
    finally:
        await driver.close()


class Behind:
    """The collections behind a driver, and the work that drivers do in the background, done when told to."""

    def __init__(self, client: Client, store: Collections) -> None:
        self.store = store
        self.seconds_later = 0.0
        known = Knowledge(lambda: client.losses)
        journal = Journal(store.journal, known)
        versions = Versions(store)
        self.projection = Projection(
            journal, versions, known, delay_seconds=0, clock=lambda: time.time() + self.seconds_later
        )

    async def memories(self, *fields: str) -> Sequence[dict[str, Any]]:
        """Return what people find in the collection of memories."""
        return await self.store.memories.find({"user_id": {"$exists": True}}, fields or ["memory"])


@asynccontextmanager
async def behind(url: str) -> AsyncIterator[Behind]:
    settings = parse_settings(url, {})
    client = Client(settings)
    await client.connect()
    try:
        yield Behind(client, collections(client, settings.names))
    finally:
        await client.close()
