"""A model endpoint on loopback that speaks OpenAI's HTTP API and behaves, or misbehaves, as told.

    async with FakeOpenAI([Reply(status=429, headers={"Retry-After": "7"}), operations()]) as fake:
        ...  # a client of fake.base_url gets these replies, then those of `otherwise`
        assert fake.requests[0].body_bytes < 6_000

As a process it answers with a tiny deterministic model: `python -m memsvc.testing.fake_openai --port 8000`, with
`--agent` as the model of an agent as well (`fake_agent`). There, `GET /fake/requests` lists what was received and
`DELETE /fake/requests` forgets it.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from types import TracebackType
from typing import Final, Self

from memsvc.testing import fake_agent
from memsvc.testing.fake_embeddings import embeddings
from memsvc.testing.fake_model import understand
from memsvc.testing.replies import MODEL, Ending, Received, Reply, as_json, error, events, operations, whole

_REASONS: Final = {200: "OK", 400: "Bad Request", 401: "Unauthorized", 404: "Not Found", 429: "Too Many Requests"}
_REQUEST_HEAD_BYTES: Final = 64 * 1024


def by_understanding(request: Received) -> Reply:
    """Answer as the tiny deterministic model does."""
    return operations(*understand(str(request.json["messages"][-1]["content"])))


class FakeOpenAI:
    """The endpoint: an async context manager that serves while it is open."""

    def __init__(
        self,
        script: Iterable[Reply] = (),
        *,
        otherwise: Callable[[Received], Reply] = by_understanding,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        """Answer each chat completion with the next reply of `script`, and those after it by `otherwise`."""
        self.requests: list[Received] = []
        self.abandoned: list[Received] = []
        """Requests whose client left before the reply had ended."""
        self._script = iter(script)
        self._otherwise = otherwise
        self._host = host
        self._port = port
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self._news = asyncio.Condition()

    @property
    def base_url(self) -> str:
        """What a client is given as its base URL."""
        return f"http://{self._host}:{self._port}/v1"

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._protocol, self._host, self._port)
        self._port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        await self._server.wait_closed()

    async def wait_for(self, condition: Callable[[Self], bool]) -> None:
        """Wait until `condition` holds, looking whenever a request has come in or was abandoned."""
        async with self._news:
            await self._news.wait_for(lambda: condition(self))

    def _protocol(self) -> asyncio.StreamReaderProtocol:
        reader = _Reader(limit=_REQUEST_HEAD_BYTES)
        return asyncio.StreamReaderProtocol(reader, lambda _, writer: self._connected(reader, writer))

    def _connected(self, reader: _Reader, writer: asyncio.StreamWriter) -> None:
        connection = asyncio.create_task(self._converse(reader, writer))
        self._connections.add(connection)
        connection.add_done_callback(self._connections.discard)

    async def _converse(self, reader: _Reader, writer: asyncio.StreamWriter) -> None:
        try:
            while (request := await _read_request(reader)) is not None:
                await self._answer(request, reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def _answer(self, request: Received, reader: _Reader, writer: asyncio.StreamWriter) -> None:
        if request.path == "/fake/requests":
            listed = [_listed(received) for received in self.requests]
            if request.method == "DELETE":
                self.requests.clear()
            return await _send(writer, 200, as_json({"requests": listed}))
        async with self._news:
            self.requests.append(request)
            self._news.notify_all()
        if request.path == "/v1/models":
            model = {"id": MODEL, "object": "model", "created": 0, "owned_by": "memsvc"}
            return await _send(writer, 200, as_json({"object": "list", "data": [model]}))
        if request.path == "/v1/embeddings":
            return await self._embed(request, reader, writer)
        if request.path != "/v1/chat/completions" or request.method != "POST":
            return await _send(writer, 404, error("not_found"))
        try:
            reply = next(self._script, None) or self._otherwise(request)
            await _reply(reply, request, reader, writer)
        except (ValueError, LookupError, TypeError):
            await _send(writer, 400, error("invalid_request"))
        except ConnectionError:
            async with self._news:
                self.abandoned.append(request)
                self._news.notify_all()
            raise
        return None

    async def _embed(self, request: Received, reader: _Reader, writer: asyncio.StreamWriter) -> None:
        try:
            reply = next(self._script, None)
            if reply is not None:
                await _reply(reply, request, reader, writer)
            else:
                await _send(writer, 200, as_json(embeddings(request.json)))
        except (ValueError, LookupError, TypeError):
            await _send(writer, 400, error("invalid_request"))


def _listed(request: Received) -> Mapping[str, object]:
    body = request.body.decode(errors="replace")
    return {"path": request.path, "body_bytes": request.body_bytes, "body": body}


class _Reader(asyncio.StreamReader):
    """Knows at once when the client has left, also while nobody reads."""

    def __init__(self, limit: int) -> None:
        super().__init__(limit)
        self.left = asyncio.Event()

    def feed_eof(self) -> None:
        super().feed_eof()
        self.left.set()

    def set_exception(self, exc: Exception) -> None:
        super().set_exception(exc)
        self.left.set()

    async def stay(self, seconds: float | None) -> None:
        """Wait; raise ConnectionResetError when the client leaves meanwhile."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.left.wait(), seconds)
        if self.left.is_set():
            raise ConnectionResetError


async def _read_request(reader: _Reader) -> Received | None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.decode("latin-1").split("\r\n")
    method, path, _ = first.split(" ", 2)
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    if headers.get("transfer-encoding", "").lower() == "chunked":
        body = await _read_chunks(reader)
    else:
        body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Received(method, path.partition("?")[0], headers, body)


async def _read_chunks(reader: _Reader) -> bytes:
    body = b""
    while size := int(await reader.readline(), 16):
        body += (await reader.readexactly(size + 2))[:-2]
    await reader.readline()
    return body


async def _reply(reply: Reply, request: Received, reader: _Reader, writer: asyncio.StreamWriter) -> None:
    if reply.hang:
        await reader.stay(None)
    if reply.body is not None or reply.status != 200:
        body = error("scripted") if reply.body is None else reply.body
        await _send(writer, reply.status, body, reply.headers)
        return writer.close() if reply.ending is Ending.CUT else None
    if reply.as_document or not request.json.get("stream"):
        return await _send(writer, 200, as_json(whole(reply, request)), reply.headers)
    headers = {"Content-Type": "text/event-stream", "Transfer-Encoding": "chunked", **reply.headers}
    writer.write(_head(200, headers))
    async for event in events(reply, request, reader.stay):
        writer.write(b"%x\r\n%s\r\n" % (len(event), event))
        await writer.drain()
    if reply.ending is Ending.HANG:
        await reader.stay(None)
    if reply.ending is Ending.CUT:
        return writer.close()
    writer.write(b"0\r\n\r\n")
    return await writer.drain()


def _head(status: int, headers: Mapping[str, str]) -> bytes:
    lines = [f"HTTP/1.1 {status} {_REASONS.get(status, 'Scripted')}", *(f"{n}: {v}" for n, v in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


async def _send(
    writer: asyncio.StreamWriter, status: int, body: bytes, headers: Mapping[str, str] | None = None
) -> None:
    head = {"Content-Type": "application/json", "Content-Length": str(len(body)), **(headers or {})}
    writer.write(_head(status, head) + body)
    await writer.drain()


async def _serve(port: int, model: Callable[[Received], Reply], piece_characters: int, delay_seconds: float) -> None:
    def answer(request: Received) -> Reply:
        return replace(model(request), piece_characters=piece_characters, delay_seconds=delay_seconds)

    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    async with FakeOpenAI(otherwise=answer, port=port) as fake:
        sys.stdout.write(f"{fake.base_url}\n")
        sys.stdout.flush()
        await stopped.wait()


def main() -> None:
    """Serve until stopped; the first line of output is the base URL."""
    parser = argparse.ArgumentParser(prog="python -m memsvc.testing.fake_openai", description="A fake model endpoint.")
    parser.add_argument("--port", type=int, default=0, help="0: any free port")
    parser.add_argument("--piece-characters", type=int, default=8, help="how much of an answer comes at once")
    parser.add_argument("--delay-seconds", type=float, default=0.0, help="how long each piece takes")
    parser.add_argument("--agent", action="store_true", help="answer agents, too, not only memory")
    options = parser.parse_args()
    model = fake_agent.answer if options.agent else by_understanding
    asyncio.run(_serve(options.port, model, options.piece_characters, options.delay_seconds))


if __name__ == "__main__":
    main()
