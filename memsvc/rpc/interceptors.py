"""What happens around every call, in one order.

gRPC's own interceptors cost a tenth of the throughput each; these are plain functions around the handler, put together
once when the server is built. From the outside in:

1. `errors`: every exception becomes a status; nothing of an internal one reaches the client.
2. `coding`: bytes become the request, the reply becomes bytes. Requests that are too large, or hold fields that this
   server does not know where it matters, are refused.
3. `draining`: no call begins once the server stops; streams end.
4. (tokens and rights, once there are any: they need the request's scope, and must not cost a drained server anything)
5. `crowds`: too many calls at once are refused, so that a database that hangs costs bounded memory.
6. `deadlines`: a call that cannot be answered in time ends with the reason.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any, TypeAlias

import grpc
from google.protobuf.message import DecodeError, Message
from msgspec import Struct

from memsvc.errors import (
    Error,
    Internal,
    InvalidArgument,
    Reason,
    ResourceExhausted,
    StorageUnavailable,
    Unavailable,
)
from memsvc.foreground import Foreground
from memsvc.log import Log
from memsvc.rpc.draining import Draining
from memsvc.rpc.overdue import Call, Overdue
from memsvc.rpc.status import wire_status
from memsvc.rpc.unknown_fields import check_write, filters_check

log = Log(__name__)

_ANSWER_SECONDS = 0.1
_NO_RETRY = ("grpc-retry-pushback-ms", "-1")

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"
Handler = Callable[[Any, Context], Awaitable[Any]]


class Rpc(Struct, frozen=True):
    """One method of the API."""

    service: str
    """With its package: memsvc.v1.MemoryService."""
    name: str
    request: type[Message]
    streams: bool
    """Whether it answers with a stream."""
    writes: bool = True
    """Whether it may change something: what it does not know, it must not ignore."""


Wrapper = Callable[[Rpc, Handler], Handler]


def chain(
    drain: Draining, foreground: Foreground, default_deadline_seconds: float, max_calls: int, max_request_bytes: int
) -> tuple[Wrapper, ...]:
    """Return the wrappers, outermost first."""
    return (
        errors,
        coding(max_request_bytes),
        draining(drain),
        crowds(foreground, max_calls),
        deadlines(default_deadline_seconds),
    )


def wrapped(rpc: Rpc, handler: Handler, wrappers: tuple[Wrapper, ...]) -> Handler:
    """Return the handler with the wrappers around it, the first one outermost."""
    for wrapper in reversed(wrappers):
        handler = wrapper(rpc, handler)
    return handler


def errors(rpc: Rpc, handler: Handler) -> Handler:
    """End the call with the status of what was raised. A cancelled call just ends."""

    async def handle(request: Any, context: Context) -> Any:
        try:
            return await handler(request, context)
        except Error as error:
            failure = error
        except grpc.aio.AbortError:
            raise
        except Exception as error:
            log.error("call_failed", error, method=rpc.name)
            failure = Internal(Reason.INTERNAL, "internal error")
        status = wire_status(failure)
        trailers: tuple[tuple[str, bytes | str], ...] = status.trailers
        left = context.time_remaining()
        if left is not None and left < failure.retry_after_seconds:
            # Or the client's channel would retry until its deadline, and the caller would never learn why.
            trailers = (*trailers, _NO_RETRY)
        return await context.abort(status.code, status.message, trailers)

    return handle


def coding(max_request_bytes: int) -> Wrapper:
    """Return the wrapper that reads the request from bytes, and serializes a reply that is not bytes yet."""

    def wrapper(rpc: Rpc, handler: Handler) -> Handler:
        parse = rpc.request.FromString
        check = check_write if rpc.writes else filters_check(rpc.request)

        async def handle(raw: bytes, context: Context) -> bytes | None:
            if len(raw) > max_request_bytes:
                raise _too_large(len(raw), max_request_bytes)
            try:
                request = parse(raw)
            except DecodeError:
                raise InvalidArgument(Reason.INVALID_FIELD, f"request is no {rpc.request.DESCRIPTOR.name}") from None
            if check is not None:
                check(request, raw)
            reply = await handler(request, context)
            return reply if reply is None or type(reply) is bytes else reply.SerializeToString()

        return handle

    return wrapper


def _too_large(size: int, limit: int) -> ResourceExhausted:
    message = f"request is {size / 2**20:.1f} MiB of {limit / 2**20:.1f} MiB"
    return ResourceExhausted(Reason.REQUEST_TOO_LARGE, message, metadata={"bytes": str(size), "limit": str(limit)})


def draining(drain: Draining) -> Wrapper:
    """Return the wrapper that refuses calls, and ends streams, once draining has begun."""

    def wrapper(rpc: Rpc, handler: Handler) -> Handler:
        async def unary(request: Any, context: Context) -> Any:
            if drain.started:
                drain.check()
            return await handler(request, context)

        async def stream(request: Any, context: Context) -> Any:
            async with drain.until_drained():
                return await handler(request, context)

        return stream if rpc.streams else unary

    return wrapper


def crowds(foreground: Foreground, max_calls: int) -> Wrapper:
    """Return the wrapper that counts unary calls of all methods, and refuses more than so many at once."""

    def wrapper(rpc: Rpc, handler: Handler) -> Handler:
        async def handle(request: Any, context: Context) -> Any:
            if foreground.calls >= max_calls:
                raise Unavailable(Reason.TOO_MANY_CALLS, f"{max_calls} calls are under way", retry_after_seconds=1.0)
            foreground.enter()
            try:
                return await handler(request, context)
            finally:
                foreground.leave()

        return handler if rpc.streams else handle

    return wrapper


def deadlines(default_seconds: float) -> Wrapper:
    """Return the wrapper that ends unary calls a little before their deadline, so that the client learns why.

    A call whose client set none has `default_seconds`. Waits for learning end earlier by themselves.
    """
    overdue = Overdue()

    def wrapper(rpc: Rpc, handler: Handler) -> Handler:
        async def handle(request: Any, context: Context) -> Any:
            left = context.time_remaining()
            seconds = default_seconds if left is None else left
            call = overdue.add(seconds - min(_ANSWER_SECONDS, seconds / 5))
            try:
                return await handler(request, context)
            except asyncio.CancelledError:
                if not overdue.ended(call):
                    raise
            finally:
                overdue.remove(call)
            raise _out_of_time(call)

        return handler if rpc.streams else handle

    return wrapper


def _out_of_time(call: Call) -> Error:
    """Return what a call is told whose time was over; nothing of writes where it made none."""
    doubt = "; a write may have been made" if call.waits.has_written else ""
    if call.waited_for_database:
        return StorageUnavailable(f"the database did not answer before the deadline{doubt}")
    message = f"the answer was not ready before the deadline{doubt}"
    return Unavailable(Reason.OUT_OF_TIME, message, retry_after_seconds=1.0)


def remaining_seconds(context: Context, default_seconds: float) -> float:
    """Return how long the call may still take."""
    remaining = context.time_remaining()
    return (default_seconds or math.inf) if remaining is None else remaining


def streaming(replies: Callable[[Any, Context], AsyncGenerator[Message, None]]) -> Handler:
    """Return the handler that sends what an async generator yields, and closes it however the call ends."""

    async def handle(request: Any, context: Context) -> None:
        async with contextlib.aclosing(replies(request, context)) as sending:
            async for reply in sending:
                await context.write(reply.SerializeToString())

    return handle
