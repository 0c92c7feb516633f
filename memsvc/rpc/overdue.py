"""Ends calls whose time is over. One timer serves all: a timer of its own costs a call a third of a read from RAM."""

from __future__ import annotations

import asyncio
import time
from typing import Any, Final

from msgspec import Struct

from memsvc.waits import Waits, begin_waits

LOOK_SECONDS: Final = 0.05
"""A call may go on for so long after its time was over."""
_ANSWERS_SECONDS: Final = 0.01
"""After the event loop stood still, answers that have come in meanwhile get so long to be heard."""


class Call(Struct, eq=False):
    """A call under way, and when it has to end, on the monotonic clock."""

    task: asyncio.Task[Any]
    end: float
    waits: Waits
    was_ended: bool = False
    waited_for_database: bool = False
    """Whether it did when it was ended: else the time went by in memsvc itself."""


class Overdue:
    """The calls under way."""

    def __init__(self) -> None:
        self._calls: set[Call] = set()
        self._next_look = 0.0
        self._looking = False

    def add(self, seconds: float) -> Call:
        """Give the current task so long; then it is cancelled."""
        task = asyncio.current_task()
        assert task is not None
        call = Call(task, time.monotonic() + seconds, begin_waits())
        self._calls.add(call)
        if not self._looking:
            self._look_after(LOOK_SECONDS)
        return call

    def remove(self, call: Call) -> None:
        """The call has ended by itself."""
        self._calls.discard(call)

    def ended(self, call: Call) -> bool:
        """Whether it was this that cancelled the task, and nobody else did; if so, the task may go on."""
        return call.was_ended and not call.task.uncancel()

    def _look_after(self, seconds: float) -> None:
        self._looking = True
        self._next_look = time.monotonic() + seconds
        asyncio.get_running_loop().call_later(seconds, self._look, seconds)

    def _look(self, waited_seconds: float) -> None:
        self._looking = False
        now = time.monotonic()
        if now - self._next_look > LOOK_SECONDS and waited_seconds == LOOK_SECONDS:
            self._look_after(_ANSWERS_SECONDS)
            return
        for call in [call for call in self._calls if call.end <= now]:
            self._calls.discard(call)
            call.was_ended = True
            call.waited_for_database = call.waits.for_database > 0
            call.task.cancel()
        if self._calls:
            self._look_after(LOOK_SECONDS)
