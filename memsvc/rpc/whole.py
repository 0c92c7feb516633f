"""Reads and writes of gRPC that are never cut off.

gRPC frees the buffer of a message after the wait for it. Who is cancelled while waiting (its client went, say) never
comes to that, and the message stays in RAM for good: a client that sends much and cancels at the right moment fills it.
So the caller is let go at once, and the operation is brought to its end when gRPC is done with it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Generator
from functools import partial
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Whole(Awaitable[T], Generic[T]):
    """Awaits an operation; where the caller is cancelled, the operation is not. To be awaited once."""

    __slots__ = ("_operation",)

    def __init__(self, operation: Awaitable[T]) -> None:
        self._operation = operation

    def __await__(self) -> Generator[Any, None, T]:
        steps: Any = self._operation.__await__()
        # What is awaited is a future of ours, that follows the operation's: cancelling a task cancels what it awaits.
        while True:
            try:
                pending: asyncio.Future[Any] | None = steps.send(None)
            except StopIteration as end:
                result: T = end.value
                return result
            try:
                if pending is None:
                    yield
                else:
                    pending._asyncio_future_blocking = False
                    done = pending.get_loop().create_future()
                    pending.add_done_callback(partial(_pass_on, done))
                    yield from done
            except asyncio.CancelledError:
                _finish_after(pending, steps)
                raise


def _pass_on(done: asyncio.Future[None], _: object) -> None:
    if not done.done():
        done.set_result(None)


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
