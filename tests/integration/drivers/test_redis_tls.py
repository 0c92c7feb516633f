"""Redis behind TLS: `rediss://`, with a server certificate that is checked."""

from __future__ import annotations

import asyncio
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest
from redis_stores import place

from memsvc.errors import InvalidArgument, StorageUnavailable
from tests.servers.redis import Redis

pytestmark = pytest.mark.redis


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate of 127.0.0.1, with its key in the same file."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl: not found; install it")
    file = tmp_path_factory.mktemp("tls") / "server.pem"
    command = f"{openssl} req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=redis"
    words = [*command.split(), "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(file), "-out", f"{file}.crt"]
    subprocess.run(words, check=True, capture_output=True)
    with file.open("a") as both:
        both.write(Path(f"{file}.crt").read_text())
    return file


@pytest.fixture
async def tls_port(redis_server: Redis, certificate: Path) -> AsyncIterator[int]:
    """Where the server's TLS ends."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    upstream = place(redis_server.url).bench().upstream(place(redis_server.url))
    relays: set[asyncio.Task[None]] = set()

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        relays.add(task)
        with suppress(asyncio.CancelledError, OSError):
            server_reader, server_writer = await asyncio.open_connection(*upstream)
            await asyncio.gather(_pump(reader, server_writer), _pump(server_reader, writer))

    server = await asyncio.start_server(relay, "127.0.0.1", 0, ssl=context)
    yield server.sockets[0].getsockname()[1]
    server.close()
    for task in relays:
        task.cancel()
    await asyncio.gather(*relays, return_exceptions=True)


async def test_a_known_certificate_is_trusted(tls_port: int, certificate: Path) -> None:
    url = f"rediss://127.0.0.1:{tls_port}?ssl_ca_certs={certificate}"
    # Sixteen handshakes at once, each of both sides in this process.
    async with place(url, key_prefix="tls:", connect_timeout_ms="4000").opened() as driver:
        await asyncio.gather(*(driver.ping() for _ in range(50)))


async def test_an_unknown_certificate_is_refused(tls_port: int) -> None:
    with pytest.raises(StorageUnavailable, match="TLS"):
        await place(f"rediss://127.0.0.1:{tls_port}", key_prefix="tls:").connect().open()
    async with place(f"rediss://127.0.0.1:{tls_port}?ssl_cert_reqs=none", key_prefix="tls:").opened() as driver:
        await driver.ping()


async def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match="TLS"):
        await place(f"rediss://127.0.0.1:1?ssl_ca_certs={tmp_path}/none.pem").connect().open()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    finally:
        writer.close()
