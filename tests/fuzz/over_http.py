"""The same requests over the operator's port: as protobuf, as JSON, as JSON with some bytes spoiled, as broken HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import struct
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from google.protobuf import json_format, message_factory
from google.protobuf.message import DecodeError

from memsvc.errors import Reason
from memsvc.rpc.services import SERVICES
from tests.fuzz.drawing import request_bytes

SECONDS: Final = 20.0
_STREAM_MILLISECONDS: Final = "200"
_SPOILED: Final = 0.3
_BROKEN_HEAD: Final = 0.05
_SIGNS: Final = b'{}[]:,"\\ \n\r\0\x7f\xff0-9eE.tfn;='


class HttpReply(NamedTuple):
    status: int
    headers: Mapping[str, str]
    body: bytes


class Sender:
    """Sends requests on one connection, and opens the next where the server closed it."""

    def __init__(self, url: str, source: random.Random) -> None:
        self._host, _, port = url.removeprefix("http://").rpartition(":")
        self._port = int(port)
        self._source = source
        self._methods = [method for service in SERVICES for method in service.methods]
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def send(self) -> tuple[str, str, bytes]:
        """Send a request; return how it was answered, what is wrong with that ("": nothing), and what was sent."""
        source, method = self._source, self._source.choice(self._methods)
        body, kind = self._body(method)
        path = f"/{method.containing_service.full_name}/{method.name}"
        head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\n"
        if method.server_streaming:
            head += f"Connect-Timeout-Ms: {_STREAM_MILLISECONDS}\r\n"
        sent = f"{head}Content-Length: {len(body)}\r\n\r\n".encode()
        is_broken = source.random() < _BROKEN_HEAD
        if is_broken:
            sent = _spoiled(sent, source)
        try:
            async with asyncio.timeout(SECONDS):
                reply = await self._asked(sent + body, hurry=is_broken)
        except (ConnectionError, asyncio.IncompleteReadError):
            await self.close()
            return "CLOSED", "" if is_broken else f"{path}: closed without an answer", sent + body
        except TimeoutError:
            await self.close()
            return "SILENT", "" if is_broken else f"{path}: never answered", sent + body
        if reply.headers.get("connection") == "close" or is_broken:
            await self.close()
        return f"HTTP {reply.status}", what_is_wrong(reply), sent + body

    def _body(self, method: Any) -> tuple[bytes, str]:
        source = self._source
        raw, form = request_bytes(method.input_type, source), "proto"
        if source.random() < 0.7:
            with contextlib.suppress(DecodeError, json_format.Error, ValueError, RecursionError):
                message = message_factory.GetMessageClass(method.input_type).FromString(raw)
                raw, form = json_format.MessageToJson(message, indent=None).encode(), "json"
                if source.random() < _SPOILED:
                    raw = _spoiled(raw, source)
        if method.server_streaming:
            return struct.pack(">BI", 0, len(raw)) + raw, f"application/connect+{form}"
        return raw, f"application/{form}"

    async def _asked(self, sent: bytes, *, hurry: bool) -> HttpReply:
        if self._streams is None:
            self._streams = await asyncio.open_connection(self._host, self._port)
        reader, writer = self._streams
        writer.write(sent)
        if hurry:
            # What is broken may be one that goes on for ever: nothing more will come.
            writer.write_eof()
        first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")[:-2]
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        body = b""
        if headers.get("transfer-encoding") == "chunked":
            while size := int(await reader.readuntil(b"\r\n"), 16):
                body += (await reader.readexactly(size + 2))[:-2]
            await reader.readexactly(2)
        else:
            body = await reader.readexactly(int(headers.get("content-length", 0)))
        return HttpReply(int(first.split()[1]), headers, body)

    async def close(self) -> None:
        if self._streams is not None:
            _, writer = self._streams
            self._streams = None
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()


def what_is_wrong(reply: HttpReply) -> str:
    """Return what of an answer the API does not allow."""
    if reply.status in (500, 502, 504) or reply.status not in range(200, 600):
        return f"the status {reply.status}: {reply.body[:300]!r}"
    errors: Sequence[Any] = ()
    kind = reply.headers.get("content-type", "")
    if kind.startswith("application/connect+"):
        messages = list(_messages(reply.body))
        if not messages or not messages[-1][0] & 2:
            return "a stream without an end"
        errors = [json.loads(messages[-1][1])["error"]] if "error" in json.loads(messages[-1][1]) else []
    elif reply.status != 200:
        errors = [json.loads(reply.body)]
    for error in errors:
        if error["code"] == "deadline_exceeded" and kind.startswith("application/connect+"):
            continue
        if error["code"] in ("unknown", "internal", "data_loss", "canceled"):
            return f"an error that must not be: {error}"
        info = next((each["debug"] for each in error.get("details", ()) if each["type"] == "google.rpc.ErrorInfo"), {})
        if info.get("reason") not in Reason.__members__:
            return f"no reason: {error}"
    return ""


def _messages(body: bytes) -> Any:
    while body:
        flags, length = struct.unpack_from(">BI", body)
        yield flags, body[5 : 5 + length]
        body = body[5 + length :]


def _spoiled(raw: bytes, source: random.Random) -> bytes:
    """Return the bytes with a few of them changed, gone, doubled, or cut off."""
    spoiled = bytearray(raw)
    for _ in range(source.randint(1, 4)):
        at = source.randrange(len(spoiled) + 1)
        what = source.randrange(4)
        if what == 0:
            spoiled[at:at] = bytes((source.choice(_SIGNS),))
        elif what == 1:
            del spoiled[at : at + source.randint(1, 8)]
        elif what == 2:
            spoiled[at:at] = spoiled[at : at + source.randint(1, 40)]
        else:
            del spoiled[max(at, 1) :]
    return bytes(spoiled)
