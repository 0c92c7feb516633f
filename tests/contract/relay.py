"""A relay between clients and a server, on a unix socket or a port, that resets what goes through it when told to."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

_CHUNK_BYTES = 1 << 16


class Relay:
    """Relays every connection to `upstream`, a `unix:///path` or `host:port`."""

    def __init__(self, upstream: str, listen: str) -> None:
        self.target = listen
        self._upstream = upstream
        self._server: asyncio.Server | None = None
        self._links: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        if self.target.startswith("unix://"):
            self._server = await asyncio.start_unix_server(self._accepted, self.target.removeprefix("unix://"))
        else:
            self._server = await asyncio.start_server(self._accepted, "127.0.0.1", 0)
            self.target = f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            await self.cut()
            await self._server.wait_closed()
        Path(self.target.removeprefix("unix://")).unlink(missing_ok=True)

    async def cut(self) -> None:
        """Reset all connections; new ones are welcome."""
        links = list(self._links)
        for link in links:
            link.cancel()
        await asyncio.gather(*links, return_exceptions=True)

    def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = asyncio.ensure_future(self._relay(reader, writer))
        self._links.add(link)
        link.add_done_callback(self._links.discard)

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there: asyncio.StreamWriter | None = None
        pumps: list[asyncio.Task[None]] = []
        try:
            with contextlib.suppress(OSError):
                back, there = await self._connected()
                pumps = [asyncio.ensure_future(_pump(reader, there)), asyncio.ensure_future(_pump(back, writer))]
                await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            for end in (writer, there):
                if end is not None:
                    end.transport.abort()

    async def _connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._upstream.startswith("unix://"):
            return await asyncio.open_unix_connection(self._upstream.removeprefix("unix://"))
        host, _, port = self._upstream.rpartition(":")
        return await asyncio.open_connection(host, int(port))


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await source.read(_CHUNK_BYTES):
            sink.write(data)
            await sink.drain()
