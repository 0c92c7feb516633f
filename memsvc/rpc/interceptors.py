"""What happens around every call, in one order.

gRPC's own interceptors cost a tenth of the throughput each; these are plain functions around the handler, put together
once when the server is built. From the outside in:

1. `errors`: every exception becomes a status; nothing of an internal one reaches the client.
2. `measuring`, `tracing`: where these are on, how each call ended is counted, and sampled ones have spans.
3. `draining`: no call begins once the server stops; streams end.
4. `identifying`: where the server asks who calls, nothing of a call is read before that is known.
5. `admission`: the request is read, if there is room for it: calls and the bytes that they hold are bounded, so that a
   database that hangs, or clients that send what they like and read nothing, cost bounded memory. Requests that are too
   large, or hold fields that this server does not know where it matters, are refused. The reply becomes bytes.
6. `authorizing`: whether that caller may do that is looked up in the table of rights.
7. `limiting`: callers and namespaces take no more than they may.
8. `auditing`: administrative acts are written down.
9. `deadlines`: a call that cannot be answered in time ends with the reason.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

import grpc
from google.protobuf.message import DecodeError, Message

from memsvc.access.audit import Audit
from memsvc.access.gate import Gate
from memsvc.errors import (
    Error,
    Internal,
    InvalidArgument,
    Reason,
    ResourceExhausted,
    StorageUnavailable,
    Unavailable,
    forget_frames,
)
from memsvc.log import Log
from memsvc.metrics.meters import Meters
from memsvc.rpc.admission import Admission, few_made_of, made_of
from memsvc.rpc.arriving import LARGE_BYTES
from memsvc.rpc.authorization import CredentialsOf, auditing, authorizing, identifying
from memsvc.rpc.calling import Context, Handler, Rpc, Wrapper
from memsvc.rpc.counting import kind_of, message_tags
from memsvc.rpc.draining import Draining
from memsvc.rpc.limiting import Limiter, limiting
from memsvc.rpc.measuring import measuring
from memsvc.rpc.overdue import Call, Overdue
from memsvc.rpc.room import Room
from memsvc.rpc.status import wire_status
from memsvc.rpc.tracing import describing, tracing
from memsvc.rpc.unknown_fields import check_write, read_check
from memsvc.rpc.whole import begin_stream, whole
from memsvc.tracing import OFF, Traces

log = Log(__name__)

_ANSWER_SECONDS = 0.1
_NO_RETRY = ("grpc-retry-pushback-ms", "-1")


def chain(
    drain: Draining,
    admitting: Admission,
    default_deadline_seconds: float,
    max_request_bytes: int,
    gate: Gate | None,
    audit: Audit,
    limiter: Limiter | None,
    credentials_of: CredentialsOf,
    meters: Meters | None = None,
    traces: Traces = OFF,
) -> tuple[Wrapper, ...]:
    """Return the wrappers, outermost first. Without a gate nobody is asked who they are, and all may do everything."""
    return (
        errors,
        *(() if meters is None else (measuring(meters),)),
        *((tracing(traces),) if traces.is_on else ()),
        draining(drain),
        *(() if gate is None else (identifying(gate, audit, limiter, credentials_of),)),
        admission(admitting, max_request_bytes),
        *_rights_and_limits(gate, audit, limiter, credentials_of),
        auditing(audit),
        *((describing(traces),) if traces.is_on else ()),
        deadlines(default_deadline_seconds),
    )


def _rights_and_limits(
    gate: Gate | None, audit: Audit, limiter: Limiter | None, credentials_of: CredentialsOf
) -> tuple[Wrapper, ...]:
    if limiter is None:
        return ()
    if gate is None:
        return (limiting(limiter),)
    limits_all = not limiter.allowances.limits_nobody
    return (authorizing(gate, audit, credentials_of, limiting(limiter), always=limits_all),)


def errors(rpc: Rpc, handler: Handler) -> Handler:
    """End the call with the status of what was raised. A cancelled call just ends."""

    async def handle(request: Any, context: Context) -> Any:
        try:
            return await handler(request, context)
        except Error as error:
            status, retry_after_seconds = wire_status(error), error.retry_after_seconds
            forget_frames(error)
        except grpc.aio.AbortError:
            raise
        except Exception as error:
            log.error("call_failed", error, method=rpc.name)
            status, retry_after_seconds = wire_status(Internal(Reason.INTERNAL, "internal error")), 0.0
            forget_frames(error)
        trailers: tuple[tuple[str, bytes | str], ...] = status.trailers
        left = context.time_remaining()
        if left is not None and left < retry_after_seconds:
            # Or the client's channel would retry until its deadline, and the caller would never learn why.
            trailers = (*trailers, _NO_RETRY)
        aborting = context.abort(status.code, status.message, trailers)
        # gRPC keeps the error that this raises with the call, and the error this frame: so the frame must not keep the
        # call, or only the collector frees them.
        del request, context
        return await aborting

    return handle


def too_large(size: int, limit: int) -> ResourceExhausted:
    """Return the error for a request that is larger than the server takes."""
    message = f"request is {size / 2**20:.1f} MiB of {limit / 2**20:.1f} MiB"
    return ResourceExhausted(Reason.REQUEST_TOO_LARGE, message, metadata={"bytes": str(size), "limit": str(limit)})


def draining(drain: Draining) -> Wrapper:
    """Return the wrapper that refuses calls, and ends streams, once draining has begun."""

    def wrapper(rpc: Rpc, handler: Handler) -> Handler:
        # No coroutine of its own: each takes a microsecond.
        def unary(request: Any, context: Context) -> Awaitable[Any]:
            if drain.started:
                drain.check()
            return handler(request, context)

        async def stream(request: Any, context: Context) -> Any:
            async with drain.until_drained():
                return await handler(request, context)

        return stream if rpc.streams else unary

    return wrapper


def admission(admitting: Admission, max_request_bytes: int) -> Wrapper:
    """Return the wrapper that reads the request, if there is room for one more call and for what it brings.

    What a call holds is counted until its reply was taken off the server's hands; for a stream, until its first reply.
    """

    def wrapper(rpc: Rpc, handler: Handler) -> Handler:
        kind, parsed = kind_of(rpc.request.DESCRIPTOR), _parser(rpc, max_request_bytes)
        tags = message_tags(kind)
        room, turns, foreground = admitting.room, admitting.turns, admitting.foreground

        async def handle(_: Any, context: Context) -> bytes | None:
            task = admitting.enter(streams=rpc.streams)
            raw = await admitting.arrivals.read(context, task, writes=rpc.writes)
            if raw is None:
                raise InvalidArgument(Reason.INVALID_FIELD, f"request is no {rpc.request.DESCRIPTOR.name}")
            few = few_made_of(raw, tags)
            room.hold(task, len(raw) + few)
            if len(raw) > LARGE_BYTES:
                await turns.large()
            elif not turns.free():
                await turns.mine()
            if not few:
                room.hold(task, await made_of(raw, kind))
            # Whoever awaits must not hold the request: it is needed until it was read, and may wait for long.
            handling = handler(parsed(raw), context)
            del raw
            if rpc.streams:
                await handling
                return None
            foreground.enter()
            try:
                reply = await handling
            finally:
                foreground.leave()
            sent: bytes = reply if type(reply) is bytes else reply.SerializeToString()
            room.hold_only(task, len(sent))
            return sent

        return handle

    return wrapper


def _parser(rpc: Rpc, max_request_bytes: int) -> Callable[[bytes], Message]:
    """Return what makes a request of bytes. It refuses what is too large, malformed, or holds fields that bind."""
    parse = rpc.request.FromString
    check = check_write if rpc.writes else read_check(rpc.request)

    def parsed(raw: bytes) -> Message:
        if len(raw) > max_request_bytes:
            raise too_large(len(raw), max_request_bytes)
        try:
            request = parse(raw)
        except DecodeError:
            raise InvalidArgument(Reason.INVALID_FIELD, f"request is no {rpc.request.DESCRIPTOR.name}") from None
        if check is not None:
            check(request, raw)
        return request

    return parsed


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
            handling = handler(request, context)
            del request
            try:
                return await handling
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


def streaming(replies: Callable[[Any, Context], AsyncGenerator[Message, None]], room: Room) -> Handler:
    """Return the handler that sends what an async generator yields, and closes it however the call ends."""

    async def handle(request: Any, context: Context) -> None:
        task = asyncio.current_task()
        assert task is not None
        sending = replies(request, context)
        del request
        begun = False
        async with contextlib.aclosing(sending):
            async for reply in sending:
                if not begun:
                    await begin_stream(context)
                    begun = True
                sent = reply.SerializeToString()
                # With the first reply what was asked is stored, or known.
                room.hold_only(task, len(sent))
                await whole(context.write(sent))
                room.let_go(task)

    return handle
