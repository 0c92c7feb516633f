"""A driver behind a network: journals in the RAM of a server, reached over TCP as a database is."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from memsvc.errors import StorageUnavailable
from memsvc.model import Scope
from memsvc.storage.conformance import Bench, Place
from memsvc.storage.driver import Capabilities, Driver
from memsvc.storage.memory import MemoryDriver

TIMEOUT_SECONDS = 0.5
_CONNECTIONS = 8

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@asynccontextmanager
async def server() -> AsyncIterator[tuple[str, int]]:
    """Serve journals in RAM, and return where."""
    driver = MemoryDriver("memory://", {})
    await driver.open()
    writers: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        try:
            while True:
                name, args, kwargs = await _received(reader)
                try:
                    reply = await getattr(driver, name)(*args, **kwargs)
                except Exception as error:
                    reply = error
                await _send(writer, reply)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield listening.sockets[0].getsockname()
    finally:
        listening.close()
        await asyncio.gather(*map(_closed, writers))
        await listening.wait_closed()


class RemoteDriver:
    """Keeps a few connections, each of which carries one call at a time."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._address = address
        self._free: list[Streams] = []
        self._writers: set[asyncio.StreamWriter] = set()
        self._turns = asyncio.Semaphore(_CONNECTIONS)
        self._open = False
        self._capabilities = MemoryDriver("memory://", {})

    def __getattr__(self, name: str) -> Any:
        async def call(*args: Any, **kwargs: Any) -> Any:
            if not self._open and name != "migrate":
                raise StorageUnavailable("driver is not open")
            return await self.call(name, args, kwargs)

        return call

    @property
    def generation(self) -> int:
        return 0

    def capabilities(self) -> Capabilities:
        return self._capabilities.capabilities()

    def hints(self) -> AsyncIterator[Scope | None]:
        if not self._open:
            raise StorageUnavailable("driver is not open")
        return self._capabilities.hints()

    async def open(self) -> None:
        await self.call("ping", (), {})
        await self._capabilities.open()
        self._open = True

    async def close(self) -> None:
        self._open = False
        self._free.clear()
        await asyncio.gather(*map(_closed, self._writers))

    async def call(self, name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS), self._turns:
                return await self.exchange((name, args, kwargs))
        except (TimeoutError, OSError, asyncio.IncompleteReadError) as error:
            raise StorageUnavailable("the server does not answer") from error

    async def exchange(self, request: object) -> Any:
        streams = self._free.pop() if self._free else await asyncio.open_connection(*self._address)
        self._writers.add(streams[1])
        try:
            await _send(streams[1], request)
            reply = await _received(streams[0])
        except BaseException as error:
            self.failed(streams, error)
            raise
        self._free.append(streams)
        if isinstance(reply, Exception):
            raise reply
        return reply

    def failed(self, streams: Streams, error: BaseException) -> None:
        """Leave a connection behind whose state is not known."""
        streams[1].close()


class RemoteBench(Bench):
    """Reaches the server directly, or through a proxy."""

    def upstream(self, place: Place) -> tuple[str, int]:
        return place.options["host"], int(place.options["port"])

    def through(self, place: Place, host: str, port: int) -> Place:
        return type(place)(place.url, {"host": host, "port": str(port)})


def remote_place(driver: type[RemoteDriver], address: tuple[str, int]) -> Place:
    """Return where a driver of this type finds the server."""

    class RemotePlace(Place):
        def connect(self) -> Driver:
            found: Any = driver((self.options["host"], int(self.options["port"])))
            return found  # type: ignore[no-any-return]

        def bench(self) -> Bench:
            return RemoteBench()

    return RemotePlace("remote://", {"host": address[0], "port": str(address[1])})


async def _closed(writer: asyncio.StreamWriter) -> None:
    writer.close()
    await asyncio.gather(writer.wait_closed(), return_exceptions=True)


async def _send(writer: asyncio.StreamWriter, message: object) -> None:
    data = pickle.dumps(message)
    writer.write(len(data).to_bytes(4) + data)
    await writer.drain()


async def _received(reader: asyncio.StreamReader) -> Any:
    size = int.from_bytes(await reader.readexactly(4))
    return pickle.loads(await reader.readexactly(size))
