"""Every operation of a driver, to be tried where it must not work."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

from memsvc.errors import StorageUnavailable
from memsvc.model import Scope
from memsvc.storage.conformance.items import item, memory, outcome_of
from memsvc.storage.driver import EMPTY, Append, Driver, Outcome, PageOf, Redaction, RowKind

T = TypeVar("T")
Call = Callable[[], Awaitable[object]]

PATIENCE_SECONDS = 5.0
"""Within which a call ends whatever the database does, and a driver works again once that is well."""


def every_call(driver: Driver, scope: Scope) -> Mapping[str, Call]:
    """Return a call of each operation that needs the database to answer, by name."""
    return {
        "ping": driver.ping,
        "append": lambda: driver.append([item(scope, EMPTY)]),
        "tips": lambda: driver.tips([scope]),
        "load": lambda: driver.load(scope, list(RowKind)),
        "records": lambda: driver.records(scope, 0, 10),
        "rows": lambda: driver.rows(PageOf(scope, RowKind.RUN, limit=10)),
        "get": lambda: driver.get(scope, RowKind.RUN, ["r1"]),
        "due": lambda: driver.due(1, 10),
        "users": lambda: driver.users(scope.namespace, "", 10),
        "scopes": lambda: driver.scopes(None, 10),
        "seed": lambda: driver.seed(scope, [memory("m1")], afresh=True),
        "truncate": lambda: driver.truncate(scope, 1),
        "redact": lambda: driver.redact(scope, [Redaction(1, b"", b"{}")]),
    }


async def refuses(call: Call) -> bool:
    """Return whether a call raises StorageUnavailable while one can wait for it."""
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            await call()
    except StorageUnavailable:
        return True
    except TimeoutError:
        pass
    return False


async def gives_up(call: Call) -> bool:
    """Return whether a call raises StorageUnavailable, or answers that the outcome is unknown, while one can wait."""

    async def raising() -> None:
        if await call() == [Outcome.UNKNOWN]:
            raise StorageUnavailable("unknown")

    return await refuses(raising)


async def outcome_or_unknown(driver: Driver, appended: Append) -> Outcome:
    """Append this alone and return what became of it: UNKNOWN also where the driver raised StorageUnavailable."""
    try:
        return await outcome_of(driver, appended)
    except StorageUnavailable:
        return Outcome.UNKNOWN


async def until_well(call: Callable[[], Awaitable[T]]) -> T:
    """Repeat a call until it works, which must be soon, and return what it does."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            try:
                return await call()
            except StorageUnavailable:
                await asyncio.sleep(0.02)
