"""Streams both ways: after its first request, which is read as that of any call, a client sends more.

Between two of them may be hours, so each is waited for without a place among requests that arrive; what one brings is
counted from the moment it is there until it was answered. gRPC holds what has come of a message that is not whole yet:
so only so many streams may wait at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from typing import Any, Final

from google.protobuf.message import DecodeError, Message

from memsvc.errors import InvalidArgument, Reason
from memsvc.rpc.admission import Admission, made_of
from memsvc.rpc.arriving import LARGE_BYTES
from memsvc.rpc.calling import Context, Handler, Rpc
from memsvc.rpc.counting import kind_of
from memsvc.rpc.interceptors import streaming, too_large
from memsvc.rpc.room import full
from memsvc.rpc.unknown_fields import check_write
from memsvc.rpc.whole import whole

MAX_CONVERSATIONS: Final = 256
"""So many streams of a method may be open at once: each may hold one request that is not whole yet."""


class Incoming:
    """The further requests of one stream, for the task that reads them."""

    def __init__(self, rpc: Rpc, context: Context, admitting: Admission, max_request_bytes: int) -> None:
        self._rpc = rpc
        self._kind = kind_of(rpc.request.DESCRIPTOR)
        self._context = context
        self._admitting = admitting
        self._max_request_bytes = max_request_bytes
        self._task: asyncio.Task[Any] | None = None

    async def read(self) -> tuple[Any, int] | None:
        """Return the next request, and how many bytes it holds until `answered`; None: the client has sent all.

        Raises Unavailable (TOO_MANY_CALLS), ResourceExhausted (REQUEST_TOO_LARGE), InvalidArgument.
        """
        raw = await whole(self._context.read())
        if not isinstance(raw, bytes):
            return None
        if len(raw) > self._max_request_bytes:
            raise too_large(len(raw), self._max_request_bytes)
        if self._task is None:
            self._task = asyncio.current_task()
            assert self._task is not None
            self._task.add_done_callback(self._admitting.room.let_go)
        # One that is alone may be larger than all of the room; a stream that sends many has no more than many have.
        self._admitting.room.hold(self._task, len(raw), own=0)
        if len(raw) > LARGE_BYTES or not self._admitting.turns.free():
            await self._admitting.turns.mine()
        made = await made_of(raw, self._kind)
        self._admitting.room.hold(self._task, made, own=len(raw))
        return self._parsed(raw), len(raw) + made

    def answered(self, count: int) -> None:
        """What a request held is free again."""
        if self._task is not None:
            self._admitting.room.release(self._task, count)

    def _parsed(self, raw: bytes) -> Message:
        try:
            request = self._rpc.request.FromString(raw)
        except DecodeError:
            name = self._rpc.request.DESCRIPTOR.name
            raise InvalidArgument(Reason.INVALID_FIELD, f"request is no {name}") from None
        check_write(request, raw)
        return request


Replies = Callable[[Any, Incoming], AsyncGenerator[Message, None]]


def conversing(rpc: Rpc, replies: Replies, admitting: Admission, max_request_bytes: int) -> Handler:
    """Return the handler that sends what an async generator yields, which reads what the client sends meanwhile."""
    streams = asyncio.Semaphore(MAX_CONVERSATIONS)

    async def handle(request: Any, context: Context) -> None:
        if streams.locked():
            raise full(f"{MAX_CONVERSATIONS} conversations are observed")
        incoming = Incoming(rpc, context, admitting, max_request_bytes)
        sending = streaming(lambda first, _: replies(first, incoming), admitting.room)
        async with streams:
            await sending(request, context)

    return handle
