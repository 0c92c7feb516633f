"""The service under torture: one server after the other on the same database, and how clients reach it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from random import Random

from memsvc_client import AsyncMemoryClient
from tests.torture.process import Installation, Server, ServerEnded

EARLIEST_KILL_SECONDS = 0.05
LATEST_KILL_SECONDS = 1.5
LATEST_EARLY_KILL_SECONDS = 0.8
"""A kill while the server starts: it takes about half of this."""
CALL_SECONDS = 5.0


@dataclass(slots=True)
class _Connection:
    """A client, closed once it is out of date and nobody uses it."""

    client: AsyncMemoryClient
    users: int = 0
    current: bool = True


@dataclass(slots=True)
class Service:
    """Starts and kills servers."""

    installation: Installation
    random: Random
    on_error: Callable[[str], None]
    """Told what a server did that it should not have: ended by itself, logged an error."""
    kills: int = 0
    early_kills: int = 0
    """Of these, while a server was starting: that is, recovering."""
    _server: Server | None = None
    _serving: asyncio.Event = field(default_factory=asyncio.Event)
    _fresh: _Connection | None = None
    _steady: _Connection | None = None

    async def round(self) -> None:
        """Start a server and kill it at random; before that, now and then, one or two that do not get to serve."""
        for _ in range(self.random.choices((0, 1, 2), (8, 2, 1))[0]):
            server = await self._launch()
            await asyncio.sleep(self.random.uniform(0, LATEST_EARLY_KILL_SECONDS))
            await self._kill(server)
            self.early_kills += 1
        server = await self.start()
        await asyncio.sleep(self.random.uniform(EARLIEST_KILL_SECONDS, LATEST_KILL_SECONDS))
        self._serving.clear()
        await self._kill(server)

    async def start(self) -> Server:
        """Start a server, and let the clients know when it serves."""
        server = await self._launch()
        try:
            await server.ready()
        except (ServerEnded, TimeoutError) as error:
            await server.kill()
            self.on_error(f"did not start: {error}\n{server.log_tail()}")
            raise
        await self._retire(self._fresh)
        self._fresh = _Connection(AsyncMemoryClient(server.target, timeout_seconds=CALL_SECONDS))
        if self._steady is None:
            self._steady = _Connection(AsyncMemoryClient(self._address, timeout_seconds=CALL_SECONDS))
        self._server = server
        self._serving.set()
        return server

    async def stop(self) -> None:
        """Drain the last server."""
        for connection in (self._fresh, self._steady):
            await self._retire(connection)
        if self._server is None:
            return
        exit_code = await self._server.stop()
        if exit_code != 0:
            self.on_error(f"SIGTERM ended in exit code {exit_code}\n{self._server.log_tail()}")
        self._look_at_log(self._server)

    async def abandon(self) -> None:
        """Leave no process behind."""
        if self._server is not None:
            await self._server.kill()

    @asynccontextmanager
    async def client(self, *, steady: bool) -> AsyncIterator[AsyncMemoryClient]:
        """Wait until a server serves and lend a client.

        A steady one stays connected, or tries to, to an address that all servers have in common; else there is a new
        one for each server, which finds it at once.
        """
        await self._serving.wait()
        connection = self._steady if steady else self._fresh
        assert connection is not None
        connection.users += 1
        try:
            yield connection.client
        finally:
            connection.users -= 1
            if not connection.current and not connection.users:
                await connection.client.close()

    @property
    def _address(self) -> str:
        return f"unix://{self.installation.folder}/memsvc.sock"

    async def _launch(self) -> Server:
        own = f"unix://{self.installation.folder}/{next(self.installation.numbers)}.sock"
        return await self.installation.launch(listen=[own, self._address])

    async def _kill(self, server: Server) -> None:
        if server.process.returncode is not None:
            self.on_error(f"ended by itself: exit code {server.process.returncode}\n{server.log_tail()}")
        await server.kill()
        self.kills += 1
        self._look_at_log(server)

    def _look_at_log(self, server: Server) -> None:
        log = server.log.read_text(encoding="utf-8", errors="replace")
        if " ERROR " in log or "Traceback" in log:
            at = min(place for place in (log.find(" ERROR "), log.find("Traceback")) if place >= 0)
            self.on_error(f"logged an error: {log[max(at - 100, 0) : at + 2_000]}")
        else:
            server.log.unlink()

    async def _retire(self, connection: _Connection | None) -> None:
        if connection is not None:
            connection.current = False
            if not connection.users:
                await connection.client.close()
