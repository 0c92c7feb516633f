"""A TCP balancer as a Service is one: new connections go to those that are ready, in turn; those that stand stay."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Balancer:
    """Takes connections on some ports of this machine and passes them on."""

    def __init__(self) -> None:
        self.ports: list[int] = []
        """One for each client: those of one process that connect to the same address share a connection."""
        self.taken: Counter[int] = Counter()
        """How many connections each port has got."""
        self._ready: list[int] = []
        self._passing: set[asyncio.Task[None]] = set()

    def add(self, port: int) -> None:
        self._ready.append(port)

    def remove(self, port: int) -> None:
        self._ready.remove(port)

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass a connection on until both sides have ended it."""
        task = asyncio.current_task()
        assert task is not None
        self._passing.add(task)
        task.add_done_callback(self._passing.discard)
        port = self._ready[sum(self.taken.values()) % len(self._ready)]
        self.taken[port] += 1
        with contextlib.suppress(OSError):
            to_reader, to_writer = await asyncio.open_connection("localhost", port)
            await asyncio.gather(_pass(reader, to_writer), _pass(to_reader, writer), return_exceptions=True)
        writer.close()

    async def close(self) -> None:
        for task in self._passing:
            task.cancel()
        await asyncio.gather(*self._passing, return_exceptions=True)


@asynccontextmanager
async def balancing(clients: int) -> AsyncIterator[Balancer]:
    """Balance from ports of its own."""
    balancer = Balancer()
    servers = [await asyncio.start_server(balancer.connected, "127.0.0.1", 0) for _ in range(clients)]
    balancer.ports += [server.sockets[0].getsockname()[1] for server in servers]
    try:
        yield balancer
    finally:
        for server in servers:
            server.close()
        await balancer.close()


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
    finally:
        writer.close()
