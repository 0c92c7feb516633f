"""A call over HTTP as the interceptors and servicers of gRPC see it: they are the same for both."""

from __future__ import annotations

import asyncio
import struct
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final, NoReturn

import grpc
from google.protobuf.message import Message
from msgspec import Struct

from memsvc.errors import InvalidArgument, Reason, Unimplemented
from memsvc.http.connection import Exchange
from memsvc.http.errors import Refused, error_json
from memsvc.http.json_reading import read_json
from memsvc.http.json_writing import encode, write_json
from memsvc.rpc.arriving import LARGE_BYTES
from memsvc.rpc.services import Method
from memsvc.rpc.status import WireStatus

PREFIX: Final = struct.Struct(">BI")
"""Before each message of a stream: flags, and its length."""
_COMPRESSED: Final = 0x01
_END: Final = 0x02
_NAMED_BY_GRPC: Final = {"URI": "peer_uri", "DNS": "peer_dns", "IP Address": "peer_ip", "email": "peer_email"}
"""Kinds of names in a certificate, as `ssl` calls them."""
_conversion = asyncio.Lock()
"""Large bodies are converted one at a time, beside the event loop: what is made of each may be many times its size."""


class Form(Struct, frozen=True):
    """How messages are written in a call."""

    is_json: bool
    streams: bool
    content_type: str


class HttpCall:
    """What a handler gets as its context: the part of `grpc.aio.ServicerContext` that the edge uses."""

    def __init__(
        self,
        method: Method,
        form: Form,
        exchange: Exchange,
        timeout_seconds: float | None,
        message: bytes | None = None,
        *,
        is_generated: bool = False,
    ) -> None:
        """`message`: the request, where it is not the body; `is_generated`: the client is, from the protos."""
        self.content_type = form.content_type
        self.headers: Mapping[str, str] = {}
        """Sent when a stream begins."""
        self._method = method
        self._form = form
        self._exchange = exchange
        self._message = message
        self._is_generated = is_generated or "connect-protocol-version" in exchange.head.headers
        self._end = None if timeout_seconds is None else time.monotonic() + timeout_seconds

    async def read(self) -> bytes:
        """Return the request as a message in protobuf's bytes."""
        raw = await self._exchange.body.read() if self._message is None else self._message
        if self._form.streams:
            raw = _only_envelope(raw)
        if not self._form.is_json:
            return raw
        if len(raw) <= LARGE_BYTES:
            return self._from_json(raw)
        async with _conversion:
            return await asyncio.to_thread(self._from_json, raw)

    def _from_json(self, raw: bytes) -> bytes:
        rpc = self._method.rpc
        message = read_json(raw, rpc.request, ignores_unknown=self._ignores_unknown())
        return message.SerializeToString()  # type: ignore[no-any-return]

    def _ignores_unknown(self) -> bool:
        """Whether a newer client may ask for more than is known here: a generated one, in a read.

        What is typed by hand has no such client behind it: there an unknown field is a slip of the pen.
        """
        return self._is_generated and not self._method.rpc.writes

    async def encoded(self, reply: bytes) -> bytes:
        """Return a reply as it is sent."""
        if not self._form.is_json:
            return reply
        if len(reply) <= LARGE_BYTES:
            return _to_json(self._method.reply, reply)
        async with _conversion:
            return await asyncio.to_thread(_to_json, self._method.reply, reply)

    async def send_initial_metadata(self, _: Sequence[tuple[str, str]]) -> None:
        """Begin a stream."""
        self.begin()

    async def write(self, reply: bytes) -> None:
        """Send one message of a stream, and return once the client has taken it."""
        data = await self.encoded(reply)
        if not self._exchange.status:
            self.begin()
        self._exchange.chunk(PREFIX.pack(0, len(data)) + data)
        await self._exchange.sent()

    def begin(self) -> None:
        self._exchange.begin({"Content-Type": self.content_type, **self.headers})

    def end(self, status: WireStatus | None = None) -> None:
        """End a stream; its last message says how."""
        if not self._exchange.status:
            self.begin()
        last = encode({"error": error_json(status)} if status is not None else {})
        self._exchange.chunk(PREFIX.pack(_END, len(last)) + last)
        self._exchange.end()

    async def abort(self, code: grpc.StatusCode, message: str, trailers: Sequence[tuple[str, Any]] = ()) -> NoReturn:
        raise Refused(WireStatus(code, message, tuple(trailers)))

    def time_remaining(self) -> float | None:
        return None if self._end is None else max(0.0, self._end - time.monotonic())

    def invocation_metadata(self) -> tuple[tuple[str, str], ...]:
        return tuple(self._exchange.head.headers.items())

    def auth_context(self) -> Mapping[str, Sequence[bytes]]:
        """Return the names in the client's certificate, as gRPC does."""
        names = self._exchange.certificate_names
        return {named: names[kind] for kind, named in _NAMED_BY_GRPC.items() if kind in names}

    def peer(self) -> str:
        return self._exchange.peer


def _to_json(kind: type[Message], reply: bytes) -> bytes:
    return write_json(kind.FromString(reply))


def _only_envelope(raw: bytes) -> bytes:
    """Return the one message of a request to a method that answers with a stream."""
    if len(raw) < PREFIX.size:
        raise InvalidArgument(Reason.INVALID_FIELD, "the request's envelope is cut off")
    flags, length = PREFIX.unpack_from(raw)
    if flags & _COMPRESSED:
        raise Unimplemented(Reason.NOT_SUPPORTED, "no compression: send identity")
    if flags or length != len(raw) - PREFIX.size:
        raise InvalidArgument(Reason.INVALID_FIELD, "the request must be one message in an envelope")
    return raw[PREFIX.size :]
