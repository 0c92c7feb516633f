"""The room that calls have in RAM: bytes of requests that wait, and of replies that nobody has read yet."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

from memsvc.errors import Reason, Unavailable

SMALL_BYTES: Final = 12 << 10
"""So many bytes are counted but never refused: the number of calls bounds them, and what is small goes on."""
RETRY_SECONDS: Final = 1.0


class Room:
    """Counts what calls hold, by their tasks."""

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.held_bytes = 0
        self._held: dict[asyncio.Task[Any], int] = {}
        self.make_room: Callable[[int], None] = lambda count: None
        """Asked where so many bytes do not fit: whoever can do without lets go of what is held."""
        self.on_let_go: Callable[[asyncio.Task[Any]], None] = lambda task: None
        """Told of each call that no longer holds what it came with."""

    def hold(self, task: asyncio.Task[Any], count: int, own: int | None = None) -> None:
        """Count bytes of a call. Raises Unavailable (TOO_MANY_CALLS) where they do not fit and are not few.

        What is larger than all of the room fits while nobody else holds anything. `own`: how much of what the call
        holds is of the same thing; None: all.
        """
        if self.held_bytes + count > self.max_bytes:
            self._find_room(count, self._held.get(task, 0) if own is None else own)
        self.held_bytes += count
        self._held[task] = self._held.get(task, 0) + count

    def hold_only(self, task: asyncio.Task[Any], count: int) -> None:
        """Count so many bytes of a call, and nothing else. Raises as `hold` does."""
        self.let_go(task)
        if self.held_bytes + count > self.max_bytes:
            self._find_room(count, 0)
        self.held_bytes += count
        self._held[task] = count

    def _find_room(self, count: int, own: int) -> None:
        if self.held_bytes == own:
            return
        self.make_room(count)
        if self.held_bytes + count > self.max_bytes and self.held_bytes != own and count > SMALL_BYTES:
            raise full(f"calls under way hold {self.held_bytes >> 20} of {self.max_bytes >> 20} MiB")

    def release(self, task: asyncio.Task[Any], count: int) -> None:
        """The call no longer holds so many of its bytes."""
        held = self._held.get(task, 0)
        released = min(count, held)
        self.held_bytes -= released
        self._held[task] = held - released

    def let_go(self, task: asyncio.Task[Any] | None) -> None:
        """The call holds nothing any more."""
        if task is not None:
            self.held_bytes -= self._held.pop(task, 0)
            self.on_let_go(task)


def full(message: str) -> Unavailable:
    """Return the error for a call that the server has no room for at the moment."""
    return Unavailable(Reason.TOO_MANY_CALLS, message, retry_after_seconds=RETRY_SECONDS)
