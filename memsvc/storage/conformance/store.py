"""One test's view of the store under test: a namespace of its own in it, and drivers on it."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Self, TypeVar

from memsvc.errors import Error, StorageUnavailable
from memsvc.model import Scope
from memsvc.storage.conformance.bench import Bench, Place, Skipped
from memsvc.storage.conformance.items import Journal, applied, item
from memsvc.storage.driver import EMPTY, Capabilities, Driver, RowKey, RowKind

_T = TypeVar("_T")

_CLEAN_UP_SECONDS = 20.0
_CLEAN_UP_BATCH = 500


class Store:
    """Opens a driver on entry; on exit erases the test's users, as far as possible, and closes every driver."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.bench: Bench = place.bench()
        self.namespace = f"conformance-{secrets.token_hex(8)}"
        self._users: dict[Scope, None] = {}
        self._crowd: dict[Scope, None] = {}
        self._drivers: list[Driver] = []
        self.capabilities: Capabilities
        self._scale = 1.0

    async def __aenter__(self) -> Self:
        self.capabilities = (await self.open()).capabilities()
        self._scale = await self.bench.scale(self.place)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            async with asyncio.timeout(_CLEAN_UP_SECONDS):
                try:
                    await self._erase_users()
                finally:
                    await self._close_drivers()
        except Exception as failure:
            if error is None:
                raise
            error.add_note(f"and the clean-up failed: {failure!r}")

    @property
    def driver(self) -> Driver:
        """The driver that was opened first."""
        return self._drivers[0]

    async def open(self) -> Driver:
        """Return one more driver, open."""
        driver = self.place.connect()
        try:
            await driver.open()
        except BaseException:
            await driver.close()
            raise
        self._drivers.append(driver)
        return driver

    async def second(self) -> Driver:
        """Return another driver on the same store. Raises Skipped where only one can be."""
        shared = self.capabilities.shared
        if shared.supported:
            return await self.open()
        try:
            driver = await self.open()
        except Error as error:
            raise Skipped(f"not shared: {shared.reason}") from error
        probe = Journal(self.driver, self.user(within=f"-probe-{secrets.token_hex(4)}"))
        await probe.append()
        if await driver.tips([probe.scope]) != [probe.tip]:
            raise Skipped(f"not shared: {shared.reason}")
        return driver

    async def several(self) -> list[Driver]:
        """Return two drivers where the store can have them, else the one."""
        try:
            return [self.driver, await self.second()]
        except Skipped:
            return [self.driver]

    async def reopen(self) -> Driver:
        """Close every driver and return a new one. Raises Skipped where nothing survives that."""
        self.need_durable()
        await self._close_drivers()
        return await self.open()

    def need_durable(self) -> None:
        """Raise Skipped where acknowledged appends do not survive."""
        durable = self.capabilities.durable
        if not durable.supported:
            raise Skipped(f"not durable: {durable.reason}")

    def need_shared(self) -> None:
        """Raise Skipped where only one process can use the store."""
        shared = self.capabilities.shared
        if not shared.supported:
            raise Skipped(f"not shared: {shared.reason}")

    def user(self, user_id: str = "sarah", *, within: str = "") -> Scope:
        """Return a user of this test's namespace, or of the namespace whose name goes on with `within`."""
        scope = Scope(self.namespace + within, user_id)
        self._users[scope] = None
        return scope

    def scaled(self, count: int, *, least: int = 10) -> int:
        """Return a large count, or as much of it as a slow server can take, but not less than `least`."""
        return max(int(count * self._scale), least)

    def sample(self, items: Sequence[_T]) -> Sequence[_T]:
        """Return all of these, or as many, spread evenly, as a slow server can take."""
        return items[:: max(1, len(items) // self.scaled(len(items)))]

    def crowd(self, count: int, *, within: str = "") -> list[Scope]:
        """Return many users, in order. They must not be given REQUEST rows: the clean-up does not look for them."""
        scopes = [Scope(self.namespace + within, f"user-{number:06}") for number in range(count)]
        self._crowd.update(dict.fromkeys(scopes))
        return scopes

    def journal(self, user_id: str = "sarah") -> Journal:
        """Return the journal, still empty, of a user of this test."""
        return Journal(self.driver, self.user(user_id))

    def scratch(self) -> AbstractAsyncContextManager[Place]:
        """Return an empty store of this test's own. Raises Skipped where the driver's bench makes none."""
        return self.bench.scratch(self.place)

    def holds(self, scratch: Place, text: bytes) -> bool:
        """Return whether any file of a scratch store has this text in it. Blocks."""
        return any(text in path.read_bytes() for path in self.bench.files(scratch) if path.exists())

    async def _close_drivers(self) -> None:
        while self._drivers:
            await self._drivers.pop().close()

    async def _erase_users(self) -> None:
        driver = await self._usable_driver()
        users = [*self._users, *self._crowd]
        for start in range(0, len(users), _CLEAN_UP_BATCH):
            chunk = users[start : start + _CLEAN_UP_BATCH]
            tips = dict(zip(chunk, await driver.tips(chunk), strict=True))
            present = [scope for scope, tip in tips.items() if tip != EMPTY]
            requests = {scope: await self._requests(driver, scope) for scope in present if scope in self._users}
            erasures = [item(scope, tips[scope], deletes=requests.get(scope, ()), erases=True) for scope in present]
            if erasures:
                await applied(driver, *erasures)

    async def _usable_driver(self) -> Driver:
        for driver in self._drivers:
            try:
                await driver.ping()
            except StorageUnavailable:
                continue
            return driver
        return await self.open()

    async def _requests(self, driver: Driver, scope: Scope) -> list[RowKey]:
        loaded = await driver.load(scope, [RowKind.REQUEST])
        return [RowKey(row.kind, row.row_id) for row in loaded.rows]
