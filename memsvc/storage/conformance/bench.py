"""What only a driver's author can arrange for the suite."""

from __future__ import annotations

import importlib
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import NamedTuple

from memsvc.storage.driver import Driver
from memsvc.storage.registry import connect, plugins, scheme_of


class Skipped(Exception):
    """The test does not apply to this store, and why."""


class Place(NamedTuple):
    """Where a store is: what `connect` takes."""

    url: str
    options: Mapping[str, str]

    def connect(self) -> Driver:
        """Return a driver on this place, not yet open."""
        return connect(self.url, self.options)

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[Driver]:
        """Return a driver on this place, open; on exit it is closed."""
        driver = self.connect()
        try:
            await driver.open()
            yield driver
        finally:
            await driver.close()

    def bench(self) -> Bench:
        """Return the bench of the driver that serves it; without one of its own, one that offers nothing."""
        return bench_of(self)


class Bench:
    """Arranges what the driver contract has no operation for.

    A driver whose entry point is `acme.driver:AcmeDriver` offers its own as the class `Bench` of a module
    `acme.conformance` beside it. Each method may be overridden; tests that need one that is not are skipped.
    """

    def scratch(self, place: Place) -> AbstractAsyncContextManager[Place]:
        """Return an empty store beside `place` that nobody else uses; on exit it is deleted."""
        raise Skipped("the driver's bench makes no scratch stores")

    async def make_schema_newer(self, scratch: Place) -> None:
        """Raise the schema version of a closed scratch store above the one that the driver knows."""
        raise Skipped("the driver's bench cannot make a schema newer")

    def cramped(self, scratch: Place) -> Place:
        """Return the same scratch store, to be opened so that it can hold a few megabytes at most."""
        raise Skipped("the driver's bench cannot bound the database's size")

    def files(self, scratch: Place) -> Sequence[Path]:
        """Return the files that keep a scratch store, logs included."""
        raise Skipped("the driver's bench does not know the database's files")

    def upstream(self, place: Place) -> tuple[str, int]:
        """Return host and port of the database's server."""
        raise Skipped("no server between memsvc and the data")

    def through(self, place: Place, host: str, port: int) -> Place:
        """Return the same store, its server reached at this address, with timeouts of about a second."""
        raise Skipped("no server between memsvc and the data")

    async def require_atomic_updates(self, place: Place) -> None:
        """Raise Skipped where the database itself may overwrite what changed between its own look and its write."""

    async def scale(self, place: Place) -> float:
        """Return what large counts of users and rows are multiplied with: less than 1 where the server is slow."""
        return 1.0


def bench_of(place: Place) -> Bench:
    """See `Place.bench`."""
    point = plugins().get(scheme_of(place.url))
    if point is None:
        return Bench()
    name = f"{point.module.rpartition('.')[0]}.conformance"
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        return Bench()
    bench = module.Bench()
    assert isinstance(bench, Bench)
    return bench
