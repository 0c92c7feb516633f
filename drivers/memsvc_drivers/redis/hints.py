"""Hints: which journals moved, published after the append and gathered on the way. Nothing waits for them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import suppress

import msgspec
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import RedisError

from memsvc.model import Scope
from memsvc_drivers.redis.connections import abort, next_message
from memsvc_drivers.redis.errors import CONNECTION_ERRORS, Lost, Rerouted, Unreachable
from memsvc_drivers.redis.keys import META, Keys
from memsvc_drivers.redis.routing import Route
from memsvc_drivers.redis.settings import Settings

_MOST_NAMED = 1_000
"""More that moved at once are not told one by one."""
_AGAIN_SECONDS = 0.25
_ANY = b"null"


class Hints:
    """Publishes and receives hints."""

    def __init__(self, settings: Settings, route: Route, keys: Keys) -> None:
        self._settings = settings
        self._route = route
        self._channel = keys.prefix + "hints"
        self._moved: set[Scope] = set()
        self._publishing: asyncio.Task[None] | None = None
        self._listening: set[AbstractConnection] = set()
        self._closed = False

    def publish(self, scopes: Iterable[Scope]) -> None:
        """Tell, soon, that these journals moved."""
        if self._settings.hint_interval_ms and not self._closed:
            self._moved.update(scopes)
            if self._moved and self._publishing is None:
                self._publishing = asyncio.create_task(self._publish())

    async def listen(self) -> AsyncIterator[Scope | None]:
        """Yield who moved; None where something may have been missed. Ends when the driver is closed."""
        missed = False
        while not self._closed:
            connection = None
            try:
                connection = await self._subscribed()
                if missed:
                    yield None
                missed = True
                while True:
                    for scope in await self._received(connection):
                        yield scope
            except (*CONNECTION_ERRORS, RedisError, Unreachable, Rerouted):
                await asyncio.sleep(_AGAIN_SECONDS)
            finally:
                if connection is not None:
                    self._listening.discard(connection)
                    await abort(connection)

    async def close(self) -> None:
        """Publish what is gathered, and end those who listen."""
        self._closed = True
        if self._publishing is not None:
            await self._publishing
        for connection in list(self._listening):
            await abort(connection)

    async def _publish(self) -> None:
        try:
            while self._moved:
                await asyncio.sleep(0 if self._closed else self._settings.hint_interval_ms / 1000)
                moved, self._moved = self._moved, set()
                named = [(scope.namespace, scope.user_id) for scope in moved]
                message = _ANY if len(named) > _MOST_NAMED else msgspec.json.encode(named)
                with suppress(Lost, Unreachable, Rerouted, TimeoutError):
                    async with asyncio.timeout(self._settings.operation_timeout_ms / 1000):
                        await self._route.node(META).exchange((("PUBLISH", self._channel, message),))
        finally:
            self._publishing = None

    async def _subscribed(self) -> AbstractConnection:
        async with asyncio.timeout(self._settings.operation_timeout_ms / 1000):
            connection = await self._route.node(META).dial()
            self._listening.add(connection)
            try:
                await connection.send_packed_command(connection.pack_command("SUBSCRIBE", self._channel))
                await connection.read_response(disable_decoding=True)
            except BaseException:
                self._listening.discard(connection)
                await abort(connection)
                raise
            return connection

    async def _received(self, connection: AbstractConnection) -> list[Scope | None]:
        reply = await next_message(connection, self._settings.operation_timeout_ms / 1000)
        if reply[0] != b"message":
            return []
        named = msgspec.json.decode(reply[2], type=list[tuple[str, str]] | None)
        return [None] if named is None else [Scope(*names) for names in named]
