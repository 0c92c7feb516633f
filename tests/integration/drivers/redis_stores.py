"""Redis as the tests of its driver want it: short timeouts, a Sentinel, items to append."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from memsvc.errors import StorageUnavailable
from memsvc.storage.conformance import Place
from memsvc_drivers.redis.connections import Command, packed
from memsvc_drivers.redis.keys import CLUSTER_BUCKETS, SERVER_BUCKETS, Keys
from tests.servers.redis import Redis

HASTY = {"connect_timeout_ms": "500", "operation_timeout_ms": "1500"}
KEYS = Keys("memsvc:", SERVER_BUCKETS)
CLUSTER_KEYS = Keys("memsvc:", CLUSTER_BUCKETS)


def place(url: str, **options: str) -> Place:
    """Return a store of the driver, with short timeouts unless others are given."""
    return Place(url, {**HASTY, **options})


async def until(condition: Callable[[], bool]) -> None:
    """Return once it holds."""
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.02)


async def until_served(call: Callable[[], Awaitable[object]]) -> None:
    """Return once the store is available."""
    async with asyncio.timeout(20):
        while True:
            try:
                await call()
            except StorageUnavailable:
                await asyncio.sleep(0.02)
            else:
                return


class Sentinel(Redis):
    """A Sentinel that watches one server, alone: what it sees is decided."""

    title = "Sentinel"

    def __init__(self, watched: Redis, settings: Mapping[str, str] | None = None) -> None:
        super().__init__(settings)
        lines = [
            f"port {self.port}",
            f"dir {self.folder}",
            f"sentinel monitor memories 127.0.0.1 {watched.port} 1",
            "sentinel down-after-milliseconds memories 500",
            "sentinel failover-timeout memories 2000",
        ]
        self._file = Path(self.folder) / "sentinel.conf"
        self._file.write_text("\n".join(lines) + "\n")

    def command(self) -> Sequence[str]:
        return [super().command()[0], str(self._file), "--sentinel"]


class Spokesman:
    """Says what a Sentinel would say, be it right or not."""

    def __init__(self, master: Redis) -> None:
        self.port = 0
        self.listeners: list[asyncio.StreamWriter] = []
        self._named = (1, master.port)

    def name(self, master: Redis) -> None:
        """Name another master from now on to those who ask."""
        self._named = (self._named[0] + 1, master.port)

    def announce(self, master: Redis) -> None:
        """Name another master, to those who listen too."""
        self.name(master)
        message = packed((("message", "+switch-master", f"memories 127.0.0.1 1 127.0.0.1 {master.port}"),))
        for listener in self.listeners:
            listener.write(message)

    def fall_silent(self) -> None:
        """Leave those who listen without a word for good, not even that they are left."""
        self.listeners.clear()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                words = [await _word(reader) for _ in range(int(line[1:]))]
                if words[0] == b"SUBSCRIBE":
                    self.listeners.append(writer)
                if writer in self.listeners or words[0] != b"PING":
                    writer.write(packed((self._answer(words),)))
        finally:
            writer.close()

    def _answer(self, words: Sequence[bytes]) -> Command:
        epoch, port = self._named
        match words:
            case [b"SENTINEL", b"MASTER", _]:
                return ("config-epoch", epoch)
            case [b"SENTINEL", *_]:
                return ("127.0.0.1", port)
            case _:
                return (words[0].lower(), "")


@asynccontextmanager
async def spokesmen(count: int, master: Redis) -> AsyncIterator[Sequence[Spokesman]]:
    """Stand some up that name a master."""
    async with AsyncExitStack() as stack:
        found = [Spokesman(master) for _ in range(count)]
        for spokesman in found:
            server = await asyncio.start_server(spokesman.serve, "127.0.0.1", 0)
            stack.callback(server.close)
            spokesman.port = server.sockets[0].getsockname()[1]
        yield found


async def _word(reader: asyncio.StreamReader) -> bytes:
    length = int((await reader.readline())[1:])
    return (await reader.readexactly(length + 2))[:-2]
