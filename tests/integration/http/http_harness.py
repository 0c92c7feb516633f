"""The operator's port on a real server, and a client of it that sends what it likes."""

from __future__ import annotations

import asyncio
import contextlib
import json
import struct
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from memsvc.http.metrics import MetricsPage
from memsvc.http.port import Page, Port, serving_http
from memsvc.storage.driver import Driver
from tests.integration.rpc.rpc_harness import Harness, served

JSON = {"Content-Type": "application/json"}
SECONDS = 20.0


@dataclass(frozen=True)
class Reply:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def reason(self) -> str:
        return str(self.json["details"][0]["debug"]["reason"])

    @property
    def fields(self) -> list[str]:
        """The wrong fields that it names."""
        named = [each for each in self.json["details"] if each["type"] == "google.rpc.BadRequest"]
        return [violation["field"] for each in named for violation in each["debug"]["fieldViolations"]]


class Client:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def ask(self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> Reply:
        given = {"Host": "localhost", "Content-Length": str(len(body)), **(headers or {})}
        lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in given.items())]
        await self.send("\r\n".join((*lines, "", "")).encode() + body)
        return await self.reply(has_body=method != "HEAD")

    async def reply(self, *, has_body: bool = True) -> Reply:
        """Read one reply; its chunks are put together."""
        async with asyncio.timeout(SECONDS):
            status, headers = await self.head()
            if headers.get("transfer-encoding") == "chunked":
                body = b""
                while chunk := await self.chunk():
                    body += chunk
            else:
                body = await self.reader.readexactly(int(headers.get("content-length", "0")) if has_body else 0)
        return Reply(status, headers, body)

    async def head(self) -> tuple[int, dict[str, str]]:
        first, *lines = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")[:-2]
        pairs = (line.partition(": ") for line in lines)
        return int(first.split()[1]), {name.lower(): value for name, _, value in pairs}

    async def chunk(self) -> bytes:
        size = int(await self.reader.readuntil(b"\r\n"), 16)
        return (await self.reader.readexactly(size + 2))[:-2]

    async def rest(self) -> bytes:
        """Read until the server closes."""
        async with asyncio.timeout(SECONDS):
            return await self.reader.read()

    async def close(self) -> None:
        self.writer.close()
        with contextlib.suppress(ConnectionError):
            await self.writer.wait_closed()


@dataclass
class HttpHarness:
    """A server with its port open."""

    rpc: Harness
    port: Port
    clients: list[Client] = field(default_factory=list)

    async def connect(self) -> Client:
        host, _, port = self.port.address.rpartition(":")
        client = Client(*await asyncio.open_connection(host.strip("[]"), int(port)))
        self.clients.append(client)
        return client

    async def ask(self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> Reply:
        """Ask on a connection of its own."""
        client = await self.connect()
        try:
            return await client.ask(method, path, body, headers)
        finally:
            await client.close()

    async def call(self, method: str, request: Any, headers: Mapping[str, str] | None = None) -> Reply:
        """Call `Service/Method` of the API with a request in JSON."""
        return await self.ask("POST", f"/memsvc.v1.{method}", json.dumps(request).encode(), {**JSON, **(headers or {})})

    async def raw(self, data: bytes) -> bytes:
        """Send bytes and return all that comes until the server closes."""
        client = await self.connect()
        try:
            await client.send(data)
            return await client.rest()
        finally:
            await client.close()


@asynccontextmanager
async def served_http(
    driver: Driver, folder: Path, pages: Mapping[str, Page] | None = None, **settings: Any
) -> AsyncIterator[HttpHarness]:
    settings.setdefault("http_listen", "127.0.0.1:0")
    async with served(driver, folder, **settings) as rpc:
        metrics = MetricsPage(rpc.application, rpc.edge)
        async with serving_http(rpc.application, rpc.edge, {"/metrics": metrics, **(pages or {})}) as port:
            harness = HttpHarness(rpc, port)
            try:
                yield harness
            finally:
                metrics.close()
                for client in harness.clients:
                    await client.close()


def enveloped(message: Any) -> bytes:
    raw = message if isinstance(message, bytes) else json.dumps(message).encode()
    return struct.pack(">BI", 0, len(raw)) + raw


def messages_in(body: bytes) -> list[tuple[int, Any]]:
    """Return flags and JSON of each message in a stream."""
    messages = []
    while body:
        flags, length = struct.unpack_from(">BI", body)
        messages.append((flags, json.loads(body[5 : 5 + length])))
        body = body[5 + length :]
    return messages
