"""Stopping in time: what a server still does after SIGTERM, and what it leaves undone once that time is over."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import signal
import time
from collections.abc import Awaitable

from memsvc.errors import invalid
from memsvc.log import Log

log = Log(__name__)

_UNLOCKED_POLL_SECONDS = 1.0

_CLOSING_SECONDS = 0.5
"""Calls under way get so much less than all of the time: some is needed to hand work back and to leave the database."""


class Stopping:
    """The time that a server has left, from the first question for it on."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._ends: float | None = None
        self.left_undone: list[str] = []

    @property
    def seconds_left(self) -> float:
        if self._ends is None:
            self._ends = time.monotonic() + self._seconds
        return max(0.0, self._ends - time.monotonic())

    @property
    def seconds_for_calls(self) -> float:
        """How long calls under way may still take."""
        return max(0.0, self.seconds_left - min(_CLOSING_SECONDS, self._seconds / 4))

    async def end(self, step: str, ending: Awaitable[object]) -> None:
        """Carry out a step of the end, or leave it undone when the time is over."""
        try:
            async with asyncio.timeout(self.seconds_left):
                await ending
        except TimeoutError:
            self.leave(step)

    def leave(self, step: str) -> None:
        """Say that a step is left undone."""
        self.left_undone.append(step)
        log.warning("left_undone", step=step, drain_seconds=self._seconds)


async def told_to_stop(lock_file: str) -> None:
    """Return on SIGTERM, SIGINT, or once nobody else holds the lock of a file; empty: of none."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for each in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(each, stopping.set)
    if not lock_file:
        await stopping.wait()
        return
    try:
        lock = os.open(lock_file, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise invalid("exit_when_unlocked", f"cannot open {lock_file}: {error.strerror}") from error
    while not stopping.is_set():
        with contextlib.suppress(BlockingIOError):
            # Kept until the process ends: a client that comes now finds it held, and starts the next server.
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_UNLOCKED_POLL_SECONDS):
                await stopping.wait()
