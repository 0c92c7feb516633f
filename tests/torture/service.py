"""The service under torture: one server after the other on the same database, and how clients reach it."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from random import Random

import psutil

from memsvc_client import AsyncMemoryClient
from tests.torture.process import Installation, Server, ServerEnded

EARLIEST_KILL_SECONDS = 0.05
LATEST_KILL_SECONDS = 1.5
LATEST_EARLY_KILL_SECONDS = 0.8
"""A kill while the server starts: it takes about half of this."""
WELL_AFTER_SECONDS = 3.0
"""Servers may take so long to find a database again that is back."""
CALL_SECONDS = 5.0
SINGLE_KILLS = 0.75
"""Of the kills of a server of several processes, so many are of one process."""


class ServerGone(Exception):
    """The server was killed before it answered."""


@dataclass(slots=True)
class _Connection:
    """A client, closed once it is out of date and nobody uses it."""

    client: AsyncMemoryClient
    calls: set[asyncio.Timeout] = field(default_factory=set)
    current: bool = True

    @asynccontextmanager
    async def lend(self) -> AsyncIterator[AsyncMemoryClient]:
        limit = asyncio.timeout(None)
        self.calls.add(limit)
        try:
            async with limit:
                yield self.client
        except TimeoutError:
            if limit.expired():
                raise ServerGone from None
            raise
        finally:
            self.calls.remove(limit)
            await self._close_if_unused()

    async def cut(self) -> None:
        """End all calls: nobody is there any more who could answer."""
        now = asyncio.get_running_loop().time()
        for limit in self.calls:
            limit.reschedule(now)
        await self.retire()

    async def retire(self) -> None:
        """Close the client as soon as nobody uses it."""
        self.current = False
        await self._close_if_unused()

    async def _close_if_unused(self) -> None:
        if not self.current and not self.calls:
            await self.client.close()


@dataclass(slots=True)
class Service:
    """Starts and kills servers."""

    installation: Installation
    random: Random
    on_error: Callable[[str], None]
    """Told what a server did that it should not have: ended by itself, logged an error."""
    servers: int = 1
    """How many serve at once. With more than one, the others go on when one is killed."""
    processes: int = 1
    """How many each consists of. With more than one, mostly one of them is killed, and its server goes on."""
    kills: int = 0
    early_kills: int = 0
    """Of these, while a server was starting: that is, recovering."""
    _well_since: float = -math.inf
    """When the database was back from its last harm, and found by the servers, on the monotonic clock."""
    _launched: list[Server] = field(default_factory=list)
    _serving: list[tuple[Server, _Connection]] = field(default_factory=list)
    """Oldest first."""
    _some_serve: asyncio.Event = field(default_factory=asyncio.Event)
    _steady: _Connection | None = None

    async def round(self) -> None:
        """Start what is missing and kill one at random; now and then, also one or two that do not get to serve."""
        for _ in range(self.random.choices((0, 1, 2), (8, 2, 1))[0]):
            server = await self._launch()
            await asyncio.sleep(self.random.uniform(0, LATEST_EARLY_KILL_SECONDS))
            await self._kill(server)
            self.early_kills += 1
        await self.start_missing()
        await asyncio.sleep(self.random.uniform(EARLIEST_KILL_SECONDS, LATEST_KILL_SECONDS))
        index = self.random.randrange(len(self._serving))
        if self.processes > 1 and self.random.random() < SINGLE_KILLS:
            self._kill_one_process(self._serving[index][0])
            return
        server, connection = self._serving.pop(index)
        if not self._serving:
            self._some_serve.clear()
        await self._kill(server)
        await connection.cut()

    async def database_round(self, harm: Callable[[Random], Awaitable[str]]) -> str:
        """Let harm come to the database under servers that work; return what it was once the database is well again."""
        await self.start_missing()
        await asyncio.sleep(self.random.uniform(EARLIEST_KILL_SECONDS, LATEST_KILL_SECONDS))
        self._well_since = math.inf
        what = await harm(self.random)
        self._well_since = time.monotonic() + WELL_AFTER_SECONDS
        return what

    def was_well_since(self, started: float) -> bool:
        """Say whether nothing was done to the database since a moment on the monotonic clock, nor shortly before."""
        return started >= self._well_since

    async def start_missing(self) -> None:
        """Start as many servers as should serve at once and do not."""
        while len(self._serving) < self.servers:
            await self.start()

    async def start(self) -> Server:
        """Start a server, and let the clients know when it serves."""
        server = await self._launch()
        try:
            await server.ready()
        except (ServerEnded, TimeoutError) as error:
            self.on_error(f"did not start: {error}\n{server.log_tail()}")
            raise
        connection = _Connection(AsyncMemoryClient(server.target, timeout_seconds=CALL_SECONDS))
        self._serving.append((server, connection))
        if self._steady is None and self.servers == 1:
            self._steady = _Connection(AsyncMemoryClient(self._address, timeout_seconds=CALL_SECONDS))
        self._some_serve.set()
        return server

    async def stop(self) -> None:
        """Drain the last servers."""
        if self._steady is not None:
            await self._steady.retire()
        for server, connection in self._serving:
            await connection.retire()
            exit_code = await server.stop()
            if exit_code != 0:
                self.on_error(f"SIGTERM ended in exit code {exit_code}\n{server.log_tail()}")
            self._look_at_log(server)

    async def abandon(self) -> None:
        """Leave no process behind."""
        for server in self._launched:
            await server.kill_all()

    @asynccontextmanager
    async def client(self, *, steady: bool) -> AsyncIterator[AsyncMemoryClient]:
        """Wait until a server serves and lend a client. Raises ServerGone.

        Of one server after the other, a steady client knows an address that all have in common and reconnects; any
        other is made for one server and gives up when that is killed. Of several at once it knows the oldest, and the
        others the newest.
        """
        await self._some_serve.wait()
        connection = self._steady
        if connection is None or not steady:
            _, connection = self._serving[0 if steady else -1]
        async with connection.lend() as client:
            yield client

    @property
    def target(self) -> str:
        """The address of the newest server."""
        return self._serving[-1][0].target

    @property
    def _address(self) -> str:
        return f"unix://{self.installation.folder}/memsvc.sock"

    async def _launch(self) -> Server:
        own = f"unix://{self.installation.folder}/{next(self.installation.numbers)}.sock"
        # The common address is whoever serves alone's: one that is launched beside it is killed before it serves.
        alone = self.servers == 1 and not self._serving
        server = await self.installation.launch(listen=[own, self._address] if alone else [own])
        self._launched.append(server)
        return server

    async def _kill(self, server: Server) -> None:
        if server.process.returncode is not None:
            self.on_error(f"ended by itself: exit code {server.process.returncode}\n{server.log_tail()}")
        await server.kill_all()
        self.kills += 1
        self._look_at_log(server)

    def _kill_one_process(self, server: Server) -> None:
        processes = psutil.Process(server.pid).children()
        if processes:
            self.random.choice(processes).kill()
            self.kills += 1

    def _look_at_log(self, server: Server) -> None:
        self._launched.remove(server)
        log = server.log.read_text(encoding="utf-8", errors="replace")
        if " ERROR " in log or "Traceback" in log:
            at = min(place for place in (log.find(" ERROR "), log.find("Traceback")) if place >= 0)
            self.on_error(f"logged an error: {log[max(at - 100, 0) : at + 2_000]}")
        else:
            server.log.unlink()
