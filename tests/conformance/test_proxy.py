"""The proxy fails as networks and servers do, and only when told to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from memsvc.storage.conformance.proxy import Proxy, proxied

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Dial = Callable[[], Awaitable[Streams]]


class Echo:
    """A server that says back what it hears, and remembers it."""

    def __init__(self) -> None:
        self.heard = asyncio.Queue[bytes]()

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[tuple[str, int]]:
        server = await asyncio.start_server(self._talk, "127.0.0.1", 0)
        try:
            yield server.sockets[0].getsockname()[:2]
        finally:
            server.close()
            await server.wait_closed()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while heard := await reader.read(1 << 16):
                self.heard.put_nowait(heard)
                writer.write(heard)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()


@pytest.fixture
def echo() -> Echo:
    return Echo()


@pytest.fixture
async def proxy(echo: Echo) -> AsyncIterator[Proxy]:
    async with echo.listening() as address, proxied(address) as proxy:
        yield proxy


@pytest.fixture
async def dial(proxy: Proxy) -> AsyncIterator[Dial]:
    opened: list[asyncio.StreamWriter] = []

    async def connect() -> Streams:
        reader, writer = await asyncio.open_connection(proxy.host, proxy.port)
        opened.append(writer)
        return reader, writer

    yield connect
    for writer in opened:
        writer.close()
        await asyncio.gather(writer.wait_closed(), return_exceptions=True)


async def test_everything_passes_both_ways(dial: Dial) -> None:
    reader, writer = await dial()
    text = b"x" * 3_000_000 + b"\n"
    writer.write(text)
    writer.write_eof()
    assert await reader.read() == text


async def test_a_pause_loses_nothing(dial: Dial, proxy: Proxy) -> None:
    before = await dial()
    assert await _answered(before)
    proxy.pause()
    meanwhile = await dial()
    assert not await _answered(before)
    assert not await _answered(meanwhile)
    proxy.resume()
    assert await before[0].readline() == b"hello\n"
    assert await meanwhile[0].readline() == b"hello\n"


async def test_a_blackhole_is_silent_for_good(dial: Dial, proxy: Proxy, echo: Echo) -> None:
    before = await dial()
    assert await _answered(before)
    proxy.blackhole()
    meanwhile = await dial()
    heard = echo.heard.qsize()
    assert not await _answered(before)
    assert not await _answered(meanwhile)
    proxy.resume()
    assert not await _answered(before)
    assert echo.heard.qsize() == heard
    assert await _answered(await dial())


async def test_a_cut_resets_and_refuses(dial: Dial, proxy: Proxy) -> None:
    reader, writer = await dial()
    assert await _answered((reader, writer))
    await proxy.cut()
    with pytest.raises(ConnectionResetError):
        await reader.read()
    with pytest.raises(ConnectionRefusedError):
        await dial()
    assert proxy.connections == 0
    proxy.resume()
    assert await _answered(await dial())


async def test_a_reset_lets_the_next_in(dial: Dial, proxy: Proxy) -> None:
    reader, writer = await dial()
    assert await _answered((reader, writer))
    await proxy.reset()
    with pytest.raises(ConnectionResetError):
        await reader.read()
    assert await _answered(await dial())


async def test_swallowed_replies_are_of_requests_that_arrived(dial: Dial, proxy: Proxy, echo: Echo) -> None:
    before = await dial()
    assert await _answered(before)
    proxy.swallow_replies()
    await echo.heard.get()
    before[1].write(b"lost\n")
    assert await echo.heard.get() == b"lost\n"
    proxy.resume()
    assert not await _answered(before)
    assert await echo.heard.get() == b"hello\n"
    assert await _answered(await dial())


async def test_a_delay_holds_back_each_direction(dial: Dial, proxy: Proxy) -> None:
    streams = await dial()
    assert await _answered(streams)
    proxy.delay(0.1)
    loop = asyncio.get_running_loop()
    started = loop.time()
    streams[1].write(b"hello\n")
    assert await streams[0].readline() == b"hello\n"
    assert loop.time() - started >= 0.2


async def test_connections_are_counted(dial: Dial, proxy: Proxy) -> None:
    all_streams = [await dial() for _ in range(5)]
    assert all([await _answered(streams) for streams in all_streams])
    assert (proxy.connections, proxy.most_connections) == (5, 5)
    for reader, writer in all_streams:
        writer.write_eof()
        assert await reader.read() == b""
    while proxy.connections:
        await asyncio.sleep(0)
    assert proxy.most_connections == 5


async def test_a_server_that_is_down_resets(proxy: Proxy) -> None:
    async with Echo().listening() as address:
        pass
    async with proxied(address) as other:
        reader, writer = await asyncio.open_connection(other.host, other.port)
        with pytest.raises(ConnectionResetError):
            await reader.read()
        writer.close()


async def _answered(streams: Streams) -> bool:
    reader, writer = streams
    writer.write(b"hello\n")
    try:
        async with asyncio.timeout(0.2):
            return await reader.readline() == b"hello\n"
    except TimeoutError:
        return False
