"""Ends calls whose time is over. One timer serves all: a timer of its own costs a call a third of a read from RAM."""

from __future__ import annotations

import asyncio
import time
from typing import Any, Final

LOOK_SECONDS: Final = 0.05
"""A call may go on for so long after its time was over."""


class Overdue:
    """The calls under way, by their tasks, and when each has to end, on the monotonic clock."""

    def __init__(self) -> None:
        self._ends: dict[asyncio.Task[Any], float] = {}
        self._ended: set[asyncio.Task[Any]] = set()
        self._looking = False

    def add(self, seconds: float) -> asyncio.Task[Any]:
        """Give the current task so long; then it is cancelled."""
        task = asyncio.current_task()
        assert task is not None
        self._ends[task] = time.monotonic() + seconds
        if not self._looking:
            self._look_soon()
        return task

    def remove(self, task: asyncio.Task[Any]) -> None:
        """The task has ended by itself."""
        self._ends.pop(task, None)
        self._ended.discard(task)

    def ended(self, task: asyncio.Task[Any]) -> bool:
        """Whether it was this that cancelled the task, and nobody else did; if so, the task may go on."""
        return task in self._ended and not task.uncancel()

    def _look_soon(self) -> None:
        self._looking = True
        asyncio.get_running_loop().call_later(LOOK_SECONDS, self._look)

    def _look(self) -> None:
        self._looking = False
        now = time.monotonic()
        for task in [task for task, end in self._ends.items() if end <= now]:
            del self._ends[task]
            self._ended.add(task)
            task.cancel()
        if self._ends:
            self._look_soon()
