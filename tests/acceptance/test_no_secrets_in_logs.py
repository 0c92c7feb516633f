"""A server that logs everything it can, used and misused, writes down no secret and nothing that was said."""

from __future__ import annotations

import asyncio
import ssl
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from memsvc.testing.fake_openai import FakeOpenAI
from memsvc_client import AsyncMemoryClient, MemoryServiceError
from tests.certificates import Authority

MODEL_KEY = "sk-hush-0123456789abcdef"
SAID = "I keep my bicycle in Lisbon"


@pytest.fixture
def place() -> Any:
    with tempfile.TemporaryDirectory(prefix="memsvc") as folder:
        yield Path(folder)


async def token_of(place: Path, *arguments: str) -> str:
    """Make a token as people do, and return it."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "memsvc", "token", "create", "--tokens-file", str(place / "tokens"), *arguments,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    output, said = await process.communicate()
    assert process.returncode == 0, said
    return output.decode().strip()


@asynccontextmanager
async def serving(place: Path, *arguments: str) -> AsyncIterator[str]:
    """Run a server whose log goes to a file; give its address."""
    with (place / "log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "memsvc", "serve", "--listen", "127.0.0.1:0", "--ready-file", str(place / "ready"),
            "--log-level", "DEBUG", "--storage-url", f"sqlite:///{place}/m.db", *arguments,
            stdout=log, stderr=log,
        )  # fmt: skip
        try:
            async with asyncio.timeout(60):
                while not (place / "ready").exists():
                    assert process.returncode is None, (place / "log").read_text()
                    await asyncio.sleep(0.02)
            yield (place / "ready").read_text().split()[0]
        finally:
            if process.returncode is None:
                process.terminate()
            await process.wait()
        assert process.returncode == 0, (place / "log").read_text()


async def send_misspelt(address: str, ca: Path, token: str) -> None:
    """Make a call with a token and a letter too many, which is no UTF-8; no client's library sends that."""
    trusting = ssl.create_default_context(cafile=ca)
    trusting.set_alpn_protocols(["h2"])
    host, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port), ssl=trusting)
    headers = {
        ":method": "POST",
        ":scheme": "https",
        ":path": "/memsvc.v1.AdminService/ListUsers",
        ":authority": "localhost",
        "content-type": "application/grpc",
        "te": "trailers",
        "authorization": f"Bearer {token}\xe9",
    }
    head = b"".join(
        b"\0" + b"".join(bytes([len(each)]) + each.encode("latin-1") for each in pair) for pair in headers.items()
    )
    writer.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
    for kind, flags, stream, payload in ((4, 0, 0, b""), (1, 4, 1, head), (0, 1, 1, bytes(5))):
        writer.write(len(payload).to_bytes(3) + bytes([kind, flags]) + stream.to_bytes(4) + payload)
    async with asyncio.timeout(30):
        await reader.readuntil(b"grpc-status\x0216")
    writer.close()


@pytest.mark.parametrize("log_format", ["text", "json"])
async def test_no_token_key_or_text_is_logged(place: Path, log_format: str) -> None:
    authority = Authority()
    (place / "ca.pem").write_bytes(authority.pem)
    certificate, key = authority.write(place, "server", "127.0.0.1")
    right = await token_of(place, "--namespace", "support", "--rights", "read,write", "--users", "cust-*")
    wrong = right[:-8] + "01234567"
    # A slip of the pen: a token where its line should be.
    with (place / "tokens").open("a") as file:
        file.write(right + "\n")
    async with (
        FakeOpenAI() as model,
        serving(
            place,
            *("--tls-certificate-file", str(certificate), "--tls-key-file", str(key)),
            *("--tokens-file", str(place / "tokens"), "--log-format", log_format, "--quiet-seconds", "0"),
            *("--engine", "openai", "--openai-base-url", model.base_url, "--openai-api-key", MODEL_KEY),
        ) as address,
    ):
        target, ca = f"tls://{address}", place / "ca.pem"
        async with AsyncMemoryClient(target, token=right, ca_file=ca) as client:
            sarah = client.user("cust-1")
            await sarah.memories.add(SAID, timeout=60)
            await sarah.append_run("s1", [{"role": "user", "content": SAID}], wait=30)
            await sarah.context(query=SAID)
            with pytest.raises(MemoryServiceError, match="PERMISSION_DENIED"):
                await client.user("staff-1").memories.list()
            with pytest.raises(MemoryServiceError, match="PERMISSION_DENIED"):
                await sarah.erase()
        async with AsyncMemoryClient(target, token=wrong, ca_file=ca) as client:
            with pytest.raises(MemoryServiceError, match="UNAUTHENTICATED"):
                await client.user("cust-1").memories.list()
        await send_misspelt(address, ca, right)
    written = (place / "log").read_text()
    assert "denied" in written
    assert "token_line_ignored" in written
    private = key.read_text().splitlines()[1]
    for secret in (right, wrong, right.split("_")[2], wrong.split("_")[2], MODEL_KEY, private, SAID, "bicycle"):
        assert secret not in written
    assert right.split("_")[2] not in (place / "tokens").read_text().splitlines()[0]
