"""Replicas tell each other who moved: NOTIFY after the commit, on a connection of its own, and LISTEN on the same.

A hint proves nothing and appends never wait for one. Names are hashed: any role of a database may listen to it.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator, Awaitable, Iterable
from contextlib import suppress
from typing import Any

from memsvc.errors import Error
from memsvc.log import Log
from memsvc.model import Scope
from memsvc_drivers.postgres.connecting import Connection, Connector
from memsvc_drivers.postgres.errors import FAILURES, TERMINATED

log = Log(__name__)

_COALESCE_SECONDS = 0.02
_STRANGERS_SECONDS = 0.1
"""How long users whom this process never met are collected, before one None tells of them all."""
_HEARTBEAT_SECONDS = 10.0
"""How often it is asked whether the connection is still one."""
_RETRY_SECONDS = (0.05, 0.1, 0.25, 0.5, 1.0)
_KEY_LENGTH = 12
_KEYS_A_PAYLOAD = 600
"""A payload holds less than 8,000 bytes."""
_MOST_PENDING = 10_000
_MOST_KNOWN = 50_000
_ANYBODY = "*"
_NO_CONNECTION: tuple[type[Exception], ...] = (Error, *FAILURES)


class Hints:
    """What one driver tells and hears. Makes up for lost connections by itself, until it is closed."""

    def __init__(self, connector: Connector, store: str, timeout_seconds: float) -> None:
        self._connector = connector
        self._channel = "memsvc_" + hashlib.blake2b(store.encode(), digest_size=12).hexdigest()
        self._timeout_seconds = timeout_seconds
        self._loop = asyncio.get_running_loop()
        self._followers: set[_Follower] = set()
        self._keys: dict[Scope, str] = {}
        self._known: dict[str, Scope] = {}
        self._moved: set[str] = set()
        self._wake = asyncio.Event()
        self._strangers: asyncio.TimerHandle | None = None
        self._task = self._loop.create_task(self._keep_connected())

    def know(self, scope: Scope) -> str:
        """Remember who is meant by this user's key, and return it."""
        key = self._keys.get(scope)
        if key is None:
            if len(self._keys) >= _MOST_KNOWN:
                oldest = next(iter(self._keys))
                del self._known[self._keys.pop(oldest)]
            key = self._keys[scope] = _key_of(scope)
            self._known[key] = scope
        return key

    def tell(self, scopes: Iterable[Scope]) -> None:
        """Tell other processes, soon, that these users moved. Waits for nothing."""
        self._moved.update(map(self.know, scopes))
        if len(self._moved) > _MOST_PENDING:
            self._moved = {_ANYBODY}
        self._wake.set()

    async def follow(self) -> AsyncIterator[Scope | None]:
        """Yield who moved, from now on, until `close`. None comes first: whoever moved before was not heard of."""
        follower = _Follower()
        follower.add(None)
        self._followers.add(follower)
        try:
            while not self._task.done():
                await follower.event.wait()
                follower.event.clear()
                moved, follower.moved = follower.moved, {}
                for scope in moved:
                    yield scope
        finally:
            self._followers.discard(follower)

    async def close(self) -> None:
        """Stop, and let those who follow end."""
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task
        if self._strangers is not None:
            self._strangers.cancel()
        for follower in self._followers:
            follower.event.set()

    async def _keep_connected(self) -> None:
        failures = 0
        while True:
            try:
                connection = await self._connector.connect(self._loop.time() + self._timeout_seconds)
            except _NO_CONNECTION as error:
                if failures == 0:
                    log.warning("connect_for_hints_failed", error=type(error).__name__)
            else:
                failures = 0
                try:
                    await self._serve(connection)
                except (*FAILURES, *TERMINATED) as error:
                    if not isinstance(error, FAILURES) and not connection.is_closed():
                        raise
                    log.warning("hints_interrupted", error=type(error).__name__)
                finally:
                    connection.terminate()
                # What was not told any more, and who moved meanwhile, is not known to anybody.
                self._moved = {_ANYBODY}
                self._wake.set()
            await asyncio.sleep(_RETRY_SECONDS[min(failures, len(_RETRY_SECONDS) - 1)])
            failures += 1

    async def _serve(self, connection: Connection) -> None:
        """Tell and listen until the connection is lost."""
        connection.add_termination_listener(self._lost)
        await self._in_time(connection, connection.add_listener(self._channel, self._heard))
        # A hint may be lost with the server, and nobody waits for it to be on disk.
        await self._in_time(connection, connection.execute("SET synchronous_commit = off"))
        self._report(None)
        while not connection.is_closed():
            with suppress(TimeoutError):
                async with asyncio.timeout(_HEARTBEAT_SECONDS):
                    await self._wake.wait()
            self._wake.clear()
            if not self._moved:
                await self._in_time(connection, connection.execute("SELECT 1"))
                continue
            await asyncio.sleep(_COALESCE_SECONDS)
            self._wake.clear()
            moved, self._moved = self._moved, set()
            keys = [_ANYBODY] if _ANYBODY in moved else sorted(moved)
            for start in range(0, len(keys), _KEYS_A_PAYLOAD):
                payload = "".join(keys[start : start + _KEYS_A_PAYLOAD])
                await self._in_time(connection, connection.execute("SELECT pg_notify($1, $2)", self._channel, payload))

    async def _in_time(self, connection: Connection, call: Awaitable[object]) -> None:
        expiry = self._loop.call_later(self._timeout_seconds, connection.terminate)
        try:
            await call
        finally:
            expiry.cancel()

    def _lost(self, connection: Any) -> None:
        self._wake.set()

    def _heard(self, connection: Any, sender: int, channel: str, payload: object) -> None:
        assert isinstance(payload, str)
        if not self._followers or sender == connection.get_server_pid():
            return
        if payload == _ANYBODY:
            self._report(None)
            return
        for start in range(0, len(payload), _KEY_LENGTH):
            scope = self._known.get(payload[start : start + _KEY_LENGTH])
            if scope is not None:
                self._report(scope)
            elif self._strangers is None:
                self._strangers = self._loop.call_later(_STRANGERS_SECONDS, self._report_strangers)

    def _report_strangers(self) -> None:
        self._strangers = None
        self._report(None)

    def _report(self, scope: Scope | None) -> None:
        for follower in self._followers:
            follower.add(scope)


class _Follower:
    """One who iterates, and what waits for it: each user once."""

    def __init__(self) -> None:
        self.event = asyncio.Event()
        self.moved: dict[Scope | None, None] = {}

    def add(self, scope: Scope | None) -> None:
        if scope is None or len(self.moved) >= _MOST_PENDING:
            self.moved = {None: None}
        elif None not in self.moved:
            self.moved[scope] = None
        self.event.set()


def _key_of(scope: Scope) -> str:
    name = f"{scope.namespace}\0{scope.user_id}"
    return base64.b64encode(hashlib.blake2b(name.encode(), digest_size=9).digest()).decode()
