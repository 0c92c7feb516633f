"""One server, with a pool of connections that are dropped when in doubt and made anew by themselves.

A node is up, or it is down and looked for. It is down from the first sign that something is wrong (a connection was
lost, a call had no answer for long, the server is a replica now) until a new connection to it, or to the server that
took its place, has answered. Calls wait a while for that, and then fail: however many, they cost no connections.

Say 300 calls wait and the server freezes. After half a second one of them makes the node suspect: new calls wait, and
one task tries to connect. The server thaws, answers that task, and the 300 get their replies on the connections they
have. Had it been replaced, they would be told that their connections are lost, and be sent to the new master.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any

from redis.asyncio.connection import AbstractConnection
from redis.exceptions import AuthenticationError, ResponseError
from redis.exceptions import ConnectionError as RedisConnectionError

from memsvc_drivers.redis.connections import Command, Reply, abort, ask, connected, has_ended, packed, refuse_replica
from memsvc_drivers.redis.errors import CONNECTION_ERRORS, Lost, Rerouted, Switched, Unreachable
from memsvc_drivers.redis.settings import Address, Settings

_SUSPECT_SECONDS = 0.5
"""A call without an answer for so long makes its node suspect."""
_WATCH_SECONDS = 0.25
_GRACE_SECONDS = 0.05
_PACE_SECONDS = 0.1
"""How long after one attempt to reach a node that is down the next one starts, at the soonest."""
_REFUSED_SECONDS = 2.0
_MAX_ATTEMPTS = 8
_FULL_SECONDS = 1.0
"""How long to make do with the connections there are after the server gave no more."""


class _Lease:
    """A connection in use."""

    __slots__ = ("answered", "connection", "patient", "since")

    def __init__(self, connection: AbstractConnection, since: float) -> None:
        self.connection = connection
        self.since = since
        self.answered = False
        self.patient = False


class Node:
    """One server, or whichever `locate` says takes its place."""

    def __init__(
        self, settings: Settings, locate: Callable[[], Awaitable[Address]], on_recovery: Callable[[], None]
    ) -> None:
        self._settings = settings
        self._locate = locate
        self._on_recovery = on_recovery
        self._loop = asyncio.get_running_loop()
        self._address: Address | None = None
        self._idle: list[AbstractConnection] = []
        self._leases: dict[_Lease, None] = {}
        self._opening = 0
        self._full_until = 0.0
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._recovery: asyncio.Task[None] | None = None
        self._recovered = asyncio.Event()
        self._error: BaseException | None = None
        self._watch: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._retired = False

    @property
    def is_down(self) -> bool:
        return self._recovery is not None

    async def exchange(self, commands: Sequence[Command], *, patient: bool = False) -> list[Reply]:
        """Send commands in one go and return their replies; those that are errors as such.

        Raises Unreachable, Rerouted, Lost, or TimeoutError where the caller's timeout passed. Unless `patient`, a
        connection that stays silent while the server answers others is given up: Lost.
        """
        lease = await self._take()
        lease.patient = patient
        connection = lease.connection
        replies: list[Reply] = []
        try:
            await connection.send_packed_command(packed(commands), check_health=False)
            for _ in commands:
                try:
                    reply = await connection.read_response(disable_decoding=True, disconnect_on_error=False)
                except ResponseError as error:
                    reply = error
                except RedisConnectionError as error:
                    # LOADING and NOAUTH are replies too, though redis-py counts them among lost connections.
                    if type(error) is RedisConnectionError:
                        raise
                    reply = error
                replies.append(reply)
                lease.answered = True
        except (*CONNECTION_ERRORS, RuntimeError) as error:
            # uvloop has no other error for a write to a transport that was just closed.
            await self._drop(lease)
            self.fail(error)
            raise Lost from error
        except BaseException:
            await self._drop(lease)
            raise
        self._give_back(lease)
        return replies

    async def dial(self) -> AbstractConnection:
        """Return a connection of the caller's own. Raises one of CONNECTION_ERRORS, Unreachable or a ResponseError."""
        return await self._connected()

    def move(self, address: Address) -> None:
        """Take note of where the server is found; connections to where another one was before are not used again."""
        before, self._address = self._address, address
        if before not in (None, address):
            self.fail(Switched())

    def fail(self, error: BaseException) -> None:
        """Take the node for down until a new connection has answered."""
        self._error = error
        if self._recovery is None and not self._retired:
            self._recovered.clear()
            for connection in self._idle:
                self._spawn(abort(connection))
            self._idle.clear()
            leases, self._leases = self._leases, {}
            self._recovery = asyncio.create_task(self._recover(list(leases)))
            self._wake_all()

    async def retire(self) -> None:
        """Close what is idle, and the rest once it is free; calls that wait are sent elsewhere."""
        self._retired = True
        self._recovered.set()
        self._wake_all()
        if self._recovery is not None:
            self._recovery.cancel()
            await asyncio.gather(self._recovery, return_exceptions=True)
        if self._watch is not None:
            self._watch.cancel()
        while self._idle:
            await abort(self._idle.pop())
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _take(self) -> _Lease:
        until = 0.0
        while True:
            if self._retired:
                raise Rerouted
            while self._recovery is None and self._idle:
                connection = self._idle.pop()
                if not has_ended(connection) and self._is_current(connection):
                    return self._lease(connection)
                self._spawn(abort(connection))
            until = until or self._loop.time() + self._settings.connect_timeout_ms / 1000
            if self._recovery is not None:
                await self._wait_for_recovery(until)
            elif self._is_full():
                await self._wait_for_room()
            elif (opened := await self._open()) is not None:
                return self._lease(opened)

    def _is_full(self) -> bool:
        if self._leases and self._loop.time() < self._full_until:
            return True
        return len(self._leases) + self._opening >= self._settings.pool_size

    async def _wait_for_recovery(self, until: float) -> None:
        try:
            async with asyncio.timeout_at(until):
                await self._recovered.wait()
        except TimeoutError:
            raise Unreachable from self._error

    async def _wait_for_room(self) -> None:
        waiter: asyncio.Future[None] = self._loop.create_future()
        self._waiters.append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled():
                self._wake_one()
            raise

    async def _open(self) -> AbstractConnection | None:
        """Return a new connection; None: there is none to be had now. Raises Unreachable where there never will be."""
        self._opening += 1
        try:
            return await self._connected()
        except asyncio.CancelledError:
            self._wake_one()
            raise
        except Exception as error:
            if self._leases:
                # Others are being served: the server may have no more connections to give, so these must be kept.
                self._full_until = self._loop.time() + _FULL_SECONDS
            else:
                self.fail(error)
            if isinstance(error, AuthenticationError | ResponseError):
                raise Unreachable from error
            return None
        finally:
            self._opening -= 1

    async def _connected(self) -> AbstractConnection:
        while True:
            address = await self._locate()
            self.move(address)
            connection = await connected(self._settings, address)
            if self._is_current(connection):
                return connection
            await abort(connection)

    def _is_current(self, connection: AbstractConnection) -> bool:
        return (getattr(connection, "host", None), getattr(connection, "port", None)) == self._address

    def _lease(self, connection: AbstractConnection) -> _Lease:
        lease = _Lease(connection, self._loop.time())
        self._leases[lease] = None
        if self._watch is None:
            self._watch = self._loop.call_later(_WATCH_SECONDS, self._look)
        return lease

    def _give_back(self, lease: _Lease) -> None:
        # A lease from before the node was down is no longer among those that count.
        if lease in self._leases and not self._retired:
            del self._leases[lease]
            self._idle.append(lease.connection)
            self._wake_one()
        else:
            self._leases.pop(lease, None)
            self._spawn(abort(lease.connection))

    async def _drop(self, lease: _Lease) -> None:
        self._leases.pop(lease, None)
        self._wake_one()
        await abort(lease.connection)

    def _look(self) -> None:
        """Suspect the node if a call has had no answer for long."""
        self._watch = None
        if not self._leases:
            return
        before = self._loop.time() - _SUSPECT_SECONDS
        if any(lease.since < before and not (lease.answered or lease.patient) for lease in self._leases):
            self.fail(TimeoutError())
        else:
            self._watch = self._loop.call_later(_WATCH_SECONDS, self._look)

    async def _recover(self, left: Sequence[_Lease]) -> None:
        """Try until the node answers; then give up the connections that it did not answer on."""
        pace = max(_PACE_SECONDS, self._settings.connect_timeout_ms / 1000 / _MAX_ATTEMPTS)
        attempts: set[asyncio.Task[AbstractConnection]] = set()
        found: AbstractConnection | None = None
        starts = self._loop.time()
        try:
            while found is None:
                if self._loop.time() >= starts and len(attempts) < _MAX_ATTEMPTS:
                    # An attempt may hang: the next one starts beside it.
                    attempts.add(asyncio.create_task(self._attempt()))
                    starts = self._loop.time() + pace
                soon = starts - self._loop.time() if len(attempts) < _MAX_ATTEMPTS else None
                await _first_of(attempts, soon)
                for attempt in [attempt for attempt in attempts if attempt.done()]:
                    error = attempt.exception()
                    if error is None:
                        found = attempt.result()
                        attempts.discard(attempt)
                        break
                    attempts.discard(attempt)
                    self._error = error
                    if isinstance(error, AuthenticationError):
                        starts = self._loop.time() + _REFUSED_SECONDS
        finally:
            for attempt in attempts:
                attempt.cancel()
                self._spawn(_unwanted(attempt))
        self._idle.append(found)
        self._recovery = None
        self._recovered.set()
        self._on_recovery()
        if any(not lease.answered for lease in left):
            self._spawn(_give_up(left))

    async def _attempt(self) -> AbstractConnection:
        async with asyncio.timeout(self._settings.connect_timeout_ms / 1000):
            connection = await self._connected()
            try:
                await ask(connection, "PING")
                await refuse_replica(connection)
            except BaseException:
                await abort(connection)
                raise
            return connection

    def _wake_one(self) -> None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return

    def _wake_all(self) -> None:
        while self._waiters:
            self._wake_one()

    def _spawn(self, coroutine: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _first_of(attempts: set[asyncio.Task[AbstractConnection]], seconds: float | None) -> None:
    """Return once one of them is done, or the time has passed."""
    timeout = None if seconds is None else max(seconds, 0)
    if attempts:
        await asyncio.wait(attempts, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
    else:
        await asyncio.sleep(timeout or 0)


async def _unwanted(attempt: asyncio.Task[AbstractConnection]) -> None:
    await asyncio.wait((attempt,))
    if not attempt.cancelled() and attempt.exception() is None:
        await abort(attempt.result())


async def _give_up(leases: Sequence[_Lease]) -> None:
    # The server may have been slow for all: then the answers arrive about now.
    await asyncio.sleep(_GRACE_SECONDS)
    for lease in leases:
        if not lease.answered and not lease.patient:
            writer = getattr(lease.connection, "_writer", None)
            if writer is not None:
                writer.transport.abort()
