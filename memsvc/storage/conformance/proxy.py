"""A TCP relay between a driver and its database that fails, when told to, as networks and servers do."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress

_CHUNK_BYTES = 1 << 16
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Proxy:
    """Relays every connection made to `host` and `port`. Until told otherwise, as fast as it can."""

    host = "127.0.0.1"

    def __init__(self, upstream_host: str, upstream_port: int) -> None:
        self.upstream = (upstream_host, upstream_port)
        self.port = 0
        self.most_connections = 0
        """How many there were at once, at most."""
        self._delay_seconds = 0.0
        self._passing = asyncio.Event()
        self._passing.set()
        self._passes_requests = self._passes_replies = True
        self._listener: socket.socket | None = None
        self._accepting = False
        self._links: set[_Link] = set()

    async def start(self) -> None:
        """Begin to listen."""
        self._listen()

    async def stop(self) -> None:
        """Reset every connection and stop to listen."""
        await self.cut()
        assert self._listener
        self._listener.close()

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return len(self._links)

    def pause(self) -> None:
        """Let nothing pass, in either direction, and lose nothing: a frozen server. New connections are accepted."""
        self._passing.clear()

    def blackhole(self) -> None:
        """Lose whatever is sent, without a reset. The connections of now stay silent for good."""
        self._passes_requests = self._passes_replies = False
        for link in self._links:
            link.passes_requests = link.passes_replies = False

    def swallow_replies(self) -> None:
        """Lose what the server says from now on; requests pass. The connections of now stay dumb for good."""
        self._passes_replies = False
        for link in self._links:
            link.passes_replies = False

    def delay(self, seconds: float) -> None:
        """Hold back what is sent, in each direction, for about so long."""
        self._delay_seconds = seconds

    async def cut(self) -> None:
        """Reset all connections, and refuse new ones until `resume`."""
        if self._accepting:
            self._accepting = False
            assert self._listener
            asyncio.get_running_loop().remove_reader(self._listener)
            self._listener.close()
            # Bound and not listening: connections are refused, and nobody takes the port.
            self._listener = _bound(self.host, self.port)
        await self.reset()

    async def reset(self) -> None:
        """Reset all connections; new ones are welcome."""
        links = list(self._links)
        await asyncio.gather(*(_cancel(link.task) for link in links))
        for link in links:
            # A task that had not begun ends without a trace.
            self._end(link)

    def resume(self) -> None:
        """Relay again, without delay, all new connections and those that lost nothing."""
        self._delay_seconds = 0.0
        self._passes_requests = self._passes_replies = True
        self._passing.set()
        if not self._accepting:
            self._listen()

    def _listen(self) -> None:
        if self._listener is None:
            self._listener = _bound(self.host, self.port)
        self.port = self._listener.getsockname()[1]
        self._listener.listen(1_024)
        asyncio.get_running_loop().add_reader(self._listener, self._accept, self._listener)
        self._accepting = True

    def _accept(self, listener: socket.socket) -> None:
        try:
            client, _ = listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return
        client.setblocking(False)
        # A connection that ends otherwise than by both sides' leave is reset.
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        link = _Link(client, self._passes_requests, self._passes_replies)
        link.task = asyncio.ensure_future(self._relay(link))
        self._links.add(link)
        self.most_connections = max(self.most_connections, len(self._links))

    async def _relay(self, link: _Link) -> None:
        try:
            await self._passing.wait()
            with suppress(OSError):
                async with _dialled(*self.upstream) as server:
                    await _both(self._pump_requests(link, server), self._pump_replies(link, server))
        finally:
            self._end(link)

    def _end(self, link: _Link) -> None:
        self._links.discard(link)
        link.client.close()

    async def _pump_requests(self, link: _Link, server: socket.socket) -> None:
        async for data in self._received(link.client):
            if link.passes_requests:
                await asyncio.get_running_loop().sock_sendall(server, data)
        if not (link.passes_requests and link.passes_replies):
            raise ConnectionResetError("nobody is left who could be answered")
        server.shutdown(socket.SHUT_WR)

    async def _pump_replies(self, link: _Link, server: socket.socket) -> None:
        async for data in self._received(server):
            if link.passes_replies:
                await asyncio.get_running_loop().sock_sendall(link.client, data)
        if not link.passes_replies:
            # The server left, and the client must not hear of it.
            await asyncio.Event().wait()
        _leave(link.client)

    async def _received(self, source: socket.socket) -> AsyncIterator[bytes]:
        loop = asyncio.get_running_loop()
        while data := await loop.sock_recv(source, _CHUNK_BYTES):
            if self._delay_seconds:
                await asyncio.sleep(self._delay_seconds)
            await self._passing.wait()
            yield data
        await self._passing.wait()


class _Link:
    """One connection, and which of its directions still pass."""

    def __init__(self, client: socket.socket, passes_requests: bool, passes_replies: bool) -> None:
        self.client = client
        self.passes_requests = passes_requests
        self.passes_replies = passes_replies
        self.task: asyncio.Task[None]


@asynccontextmanager
async def proxied(upstream: tuple[str, int]) -> AsyncIterator[Proxy]:
    """Run a proxy before a server."""
    proxy = Proxy(*upstream)
    await proxy.start()
    try:
        yield proxy
    finally:
        await proxy.stop()


@asynccontextmanager
async def _dialled(host: str, port: int) -> AsyncIterator[socket.socket]:
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    # `localhost` may be ::1 first, where few servers listen.
    family, kind, protocol, _, address = min(found, key=lambda info: info[0] != socket.AF_INET)
    with socket.socket(family, kind, protocol) as server:
        server.setblocking(False)
        server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await loop.sock_connect(server, address)
        yield server


async def _both(requests: Coroutine[None, None, None], replies: Coroutine[None, None, None]) -> None:
    """Run both to their end, or until one fails."""
    tasks = [asyncio.ensure_future(requests), asyncio.ensure_future(replies)]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            await _cancel(task)


def _bound(host: str, port: int) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host, port))
    listener.setblocking(False)
    return listener


def _leave(client: socket.socket) -> None:
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 0, 0))
    client.shutdown(socket.SHUT_WR)


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
