"""Reads and writes of gRPC that are never cut off.

gRPC frees the buffer of a message after the wait for it. Who is cancelled while waiting (its client went, say) never
comes to that, and the message stays in RAM for good: a client that sends much and cancels at the right moment fills it.
So the caller is let go at once, and the operation is brought to its end when gRPC is done with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import types
from collections.abc import Awaitable, Generator
from contextvars import Context
from typing import Any, TypeVar

T = TypeVar("T")


async def begin_stream(context: Any) -> None:
    """Send the head of a stream, once there is something to send; whoever is cancelled meanwhile ends when it is sent.

    gRPC learns that a head is on its way only when it is sent. A stream that was ended before that (the server stops)
    would send a second one with its status, fail, and leave its client without either.
    """
    sending = asyncio.ensure_future(context.send_initial_metadata(()))
    try:
        await asyncio.shield(sending)
    except asyncio.CancelledError:
        while not sending.done():
            # Whoever cancels once more (the client goes) waits for it as well.
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait((sending,))
        if not sending.cancelled():
            # Of a client that is gone it has failed, which is of no interest.
            sending.exception()
        raise


@types.coroutine
def whole(operation: Awaitable[T]) -> Generator[Any, None, T]:
    """Await an operation; where the caller is cancelled, the operation is not."""
    steps: Any = operation.__await__()
    while True:
        try:
            pending: asyncio.Future[Any] | None = steps.send(None)
        except StopIteration as end:
            result: T = end.value
            return result
        try:
            yield pending if pending is None else _Uncut(pending)
        except BaseException as failure:
            if isinstance(failure, asyncio.CancelledError):
                _finish_after(pending, steps)
            if not isinstance(failure, Exception):
                raise
            # How the future failed is for the operation to find there: it may know what to do.


class _Uncut:
    """Stands for a future that a task waits for: a task cancels what it waits for, and the future must go on.

    It has what a task asks of a future (see `asyncio.isfuture`), and no more.
    """

    __slots__ = ("_asyncio_future_blocking", "_context", "_pending", "_wake_up", "get_loop")

    def __init__(self, pending: asyncio.Future[Any]) -> None:
        self._asyncio_future_blocking = True
        pending._asyncio_future_blocking = False
        self._pending = pending
        self.get_loop = pending.get_loop

    def add_done_callback(self, wake_up: Any, *, context: Context | None = None) -> None:
        self._wake_up, self._context = wake_up, context
        self._pending.add_done_callback(wake_up, context=context)

    def cancel(self, msg: object = None) -> bool:
        if not self._pending.remove_done_callback(self._wake_up):
            return False
        self.get_loop().call_soon(self._wake_up, self, context=self._context)
        return True

    def result(self) -> None:
        # The task asks this only of what it has cancelled; else the future itself wakes it.
        raise asyncio.CancelledError


def _finish_after(pending: asyncio.Future[Any] | None, steps: Any) -> None:
    if pending is None:
        asyncio.get_running_loop().call_soon(_finish, steps)
    else:
        pending.add_done_callback(lambda _: _finish(steps))


def _finish(steps: Any) -> None:
    """Take the remaining steps, the last of which frees what gRPC holds."""
    with contextlib.suppress(StopIteration, Exception):
        pending = steps.send(None)
        if pending is not None:
            pending._asyncio_future_blocking = False
        _finish_after(pending, steps)
