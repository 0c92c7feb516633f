"""A bounded pool of connections: whoever asked first is served first, and nobody waits past the operation's timeout.

Nothing is ever cancelled on the server: a CancelRequest would need a connection of its own, may hit the next statement,
and makes a commit that waits for a standby return as if it were done. What takes too long costs its connection.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple, TypeVar

from memsvc.errors import StorageUnavailable
from memsvc_drivers.postgres.connecting import Connection, Connector
from memsvc_drivers.postgres.errors import (
    FAILURES,
    TERMINATED,
    has_no_connection_left,
    spoils_server,
    unavailable,
)

_T = TypeVar("_T")

_Work = Callable[[Connection], Awaitable[_T]]

_IDLE_SECONDS = 120.0
"""An idle connection older than this is not trusted: something between may have forgotten it."""
_FULL_SECONDS = 1.0
"""How long to make do with the connections there are after the server gave no more."""


class _Idle(NamedTuple):
    connection: Connection
    since: float


class Pool:
    """Runs work on connections. Used from one event loop."""

    def __init__(self, connector: Connector, size: int, timeout_seconds: float, *, pooled: bool = False) -> None:
        """`pooled`: what connections lead to is a transaction pooler."""
        self._connector = connector
        self._pooled = pooled
        self._size = size
        self._timeout_seconds = timeout_seconds
        self._loop = asyncio.get_running_loop()
        self._idle: list[_Idle] = []
        self._held = 0
        """Connections that exist or are being made."""
        self._full_until = 0.0
        self._waiting: deque[asyncio.Future[Connection | None]] = deque()
        self._running: set[asyncio.Future[Any]] = set()
        self._closed = False

    async def run(self, work: _Work[_T], *, timeout_seconds: float | None = None) -> _T:
        """Return what `work` returns, given a connection that nobody else uses. Raises StorageUnavailable.

        The work goes on, and ends, when the caller is cancelled. It leaves no transaction open.
        """
        self._require_open()
        answer: asyncio.Future[_T] = self._loop.create_future()
        task = self._loop.create_task(self._answer(work, timeout_seconds or self._timeout_seconds, answer))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return await answer

    async def run_here(self, work: _Work[_T]) -> _T:
        """Do so without a task of its own, which costs less: a caller that is cancelled then costs the connection."""
        self._require_open()
        done = self._loop.create_future()
        self._running.add(done)
        try:
            return await self._run(work, self._timeout_seconds)
        finally:
            self._running.discard(done)
            done.set_result(None)

    async def close(self) -> None:
        """Let the work under way end, then end every connection."""
        self._closed = True
        while self._running:
            await asyncio.wait(self._running)
        self._discard_idle()

    def _require_open(self) -> None:
        if self._closed:
            raise StorageUnavailable("driver is not open")

    async def _answer(self, work: _Work[_T], timeout_seconds: float, answer: asyncio.Future[_T]) -> None:
        try:
            result = await self._run(work, timeout_seconds)
        except BaseException as error:
            if not answer.done():
                answer.set_exception(error)
        else:
            # Here rather than in a callback of the task: that would be one more turn of the loop.
            if not answer.done():
                answer.set_result(result)

    async def _run(self, work: _Work[_T], timeout_seconds: float) -> _T:
        deadline = self._loop.time() + timeout_seconds
        connection = await self._acquire(deadline)
        expiry = self._loop.call_at(deadline, connection.terminate)
        try:
            return await work(connection)
        except FAILURES as error:
            if spoils_server(error):
                connection.terminate()
                self._discard_idle()
            if self._loop.time() >= deadline:
                raise StorageUnavailable("database did not answer in time") from error
            raise unavailable(error, pooled=self._pooled) from error
        except TERMINATED as error:
            if not connection.is_closed():
                raise
            raise StorageUnavailable("database did not answer in time") from error
        except asyncio.CancelledError:
            # What the connection is in the middle of goes on at the server.
            connection.terminate()
            raise
        finally:
            expiry.cancel()
            self._release(connection)

    async def _acquire(self, deadline: float) -> Connection:
        while True:
            while self._idle:
                idle = self._idle.pop()
                if not idle.connection.is_closed() and self._loop.time() - idle.since < _IDLE_SECONDS:
                    return idle.connection
                idle.connection.terminate()
                self._held -= 1
            if self._is_full():
                granted = await self._wait(deadline)
                if granted is not None:
                    return granted
            else:
                self._held += 1
            try:
                return await self._connector.connect(deadline)
            except BaseException as error:
                if has_no_connection_left(error) and self._held > 1:
                    # Those of this pool that there are do for all: whoever is served passes its own on.
                    self._held -= 1
                    self._full_until = self._loop.time() + _FULL_SECONDS
                    continue
                self._pass_on(None)
                if isinstance(error, TimeoutError):
                    raise StorageUnavailable("database did not answer in time") from error
                if isinstance(error, FAILURES):
                    raise unavailable(error, pooled=self._pooled) from error
                raise

    def _is_full(self) -> bool:
        return self._held >= self._size or (self._held > 0 and self._loop.time() < self._full_until)

    async def _wait(self, deadline: float) -> Connection | None:
        """Return a connection, or None: the right to make one."""
        waiter: asyncio.Future[Connection | None] = self._loop.create_future()
        self._waiting.append(waiter)
        expiry = self._loop.call_at(deadline, _expire, waiter)
        try:
            return await waiter
        except asyncio.CancelledError:
            if not waiter.cancelled() and waiter.exception() is None:
                # It was granted in the very moment that the caller went away.
                self._pass_on(waiter.result())
            raise
        finally:
            expiry.cancel()

    def _release(self, connection: Connection) -> None:
        self._pass_on(None if connection.is_closed() else connection)

    def _pass_on(self, connection: Connection | None) -> None:
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(connection)
                return
        if connection is None:
            self._held -= 1
        else:
            self._idle.append(_Idle(connection, self._loop.time()))

    def _discard_idle(self) -> None:
        for idle in self._idle:
            idle.connection.terminate()
        self._held -= len(self._idle)
        self._idle.clear()


def _expire(waiter: asyncio.Future[Connection | None]) -> None:
    if not waiter.done():
        waiter.set_exception(StorageUnavailable("no connection to the database became free in time"))
