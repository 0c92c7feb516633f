"""Requests on their way in.

gRPC tells a client to send all of a message once somebody asks for it, however large it is, and says nothing of its
size before it is there. So what may come is bounded by how many are asked for at once. Most are there at once: those
have a few places, for a moment each. One that is not there after that moment is large or slow: it counts as the largest
there may be, where there is room for that; where there is none, it keeps its place until others wait for one. So a
client that sends slowly, or stops in the midst, takes no place for long from those whose requests are small. While
there are several large requests, there is no place after each for those who sent them, until those who have come
meanwhile are known (`intake`).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Set
from typing import Any, Final

import grpc

from memsvc.errors import Unavailable
from memsvc.rpc.fair_queue import FairQueue
from memsvc.rpc.intake import Intake
from memsvc.rpc.room import Room, full
from memsvc.rpc.whole import whole

PROMPT: Final = 8
"""So many requests are asked for at once that may all be of the largest size."""
LARGE_BYTES: Final = 128 << 10
"""A larger request takes milliseconds to read."""
_AFTER_REST: Final = 2
"""So many places are given after each rest: while one is large, somebody who comes into the crowd has the other."""
_LOOK_SECONDS: Final = 0.01
_PROMPT_LOOKS: Final = 6
"""After so many looks a request is no longer prompt. Looks, not time: while the loop is busy, nothing can arrive."""
_PATIENCE_SECONDS: Final = 1.0
"""A slow request has so long before it may have to make room for another, and one that waits for a place before it is
refused."""
_REFUSALS: Final = 8
"""So many that waited too long are refused at a look."""


Line = tuple[str, bool]
"""Whose connection a call came by, and whether it writes."""


class Arrivals:
    """Reads requests; one for all calls of a server."""

    def __init__(self, room: Room, intake: Intake, largest_bytes: int, slowest_seconds: float) -> None:
        self._room = room
        self._intake = intake
        self._largest_bytes = largest_bytes
        self._slowest_seconds = slowest_seconds
        self._prompt: dict[asyncio.Task[Any], int] = {}
        self._slow: dict[asyncio.Task[Any], float] = {}
        """Since when, oldest first."""
        self._refused: set[asyncio.Task[Any]] = set()
        self._waiting = FairQueue()
        self._looking = False
        self._large_lines: set[Line] = set()
        """Those that large requests came from lately."""
        self._resting = False
        """Whether these get no place: there are many large requests, and calls keep coming."""
        room.make_room = self._make_room

    async def read(
        self, context: grpc.aio.ServicerContext[Any, Any], task: asyncio.Task[Any], *, writes: bool
    ) -> bytes | None:
        """Return the request's bytes, for the task that runs; None where the client ended the call without one.

        Raises Unavailable (TOO_MANY_CALLS) where it comes too slowly for the room that there is.
        """
        if len(self._prompt) >= PROMPT or self._resting:
            await self._place((context.peer(), writes))
        self._prompt[task] = 0
        if not self._looking:
            self._look_soon()
        request = None
        try:
            request = await whole(context.read())
        except asyncio.CancelledError:
            if task in self._refused and not task.uncancel():
                raise full("the request came too slowly") from None
            raise
        finally:
            if self._prompt.pop(task, None) is None and self._slow.pop(task, None) is not None:
                self._room.let_go(task)
            self._refused.discard(task)
            if isinstance(request, bytes) and len(request) > LARGE_BYTES:
                self._large_came(task, (context.peer(), writes))
            if self._waiting.lines:
                self._wake()
        return request if isinstance(request, bytes) else None

    async def _place(self, line: Line) -> None:
        since = time.monotonic()
        while len(self._prompt) >= PROMPT or line in self._lines_at_rest():
            try:
                await self._waiting.join(line, since)
            except asyncio.CancelledError:
                # Whoever was told that there is a place, and went, leaves it to the next.
                self._wake()
                raise

    def _wake(self) -> None:
        if len(self._prompt) < PROMPT:
            self._waiting.give_place(self._lines_at_rest())

    def _lines_at_rest(self) -> Set[Line]:
        return self._large_lines if self._resting else frozenset()

    def _large_came(self, task: asyncio.Task[Any], line: Line) -> None:
        self._intake.large_came(task)
        self._large_lines.add(line)
        if self._intake.many_large and not self._resting:
            self._resting = True
            self._intake.after(self._end_rest)

    def _end_rest(self) -> None:
        self._resting = False
        if not self._intake.many_large:
            self._large_lines.clear()
        for _ in range(_AFTER_REST - len(self._prompt)):
            self._wake()

    def _look_soon(self) -> None:
        self._looking = True
        asyncio.get_running_loop().call_later(_LOOK_SECONDS, self._look)

    def _look(self) -> None:
        self._looking = False
        now = time.monotonic()
        for task, looks in list(self._prompt.items()):
            self._prompt[task] = looks + 1
            if looks < _PROMPT_LOOKS:
                continue
            try:
                self._room.hold(task, self._largest_bytes)
            except Unavailable:
                if self._waiting.oldest_since() is None:
                    continue
                self._refuse(task)
            else:
                self._slow[task] = now
            del self._prompt[task]
            self._wake()
        slowest = self._slowest_seconds
        late = [task for task, looks in self._prompt.items() if looks * _LOOK_SECONDS > slowest]
        late += [task for task, since in self._slow.items() if now - since > slowest]
        for task in late:
            self._refuse(task)
        self._refuse_oldest(now)
        if self._prompt or self._slow or self._waiting.oldest_since() is not None:
            self._look_soon()

    def _refuse_oldest(self, now: float) -> None:
        """Refuse some of those that have waited for a place too long: all at once would hold everybody up."""
        for _ in range(_REFUSALS):
            since = self._waiting.oldest_since()
            if since is None or now - since <= _PATIENCE_SECONDS:
                return
            self._waiting.refuse_oldest(full("too many requests come in"))

    def _make_room(self, count: int) -> None:
        """Refuse those that have been slow for long, until so many bytes fit."""
        now = time.monotonic()
        for task, since in list(self._slow.items()):
            if self._room.held_bytes + count <= self._room.max_bytes or now - since < _PATIENCE_SECONDS:
                return
            self._refuse(task)

    def _refuse(self, task: asyncio.Task[Any]) -> None:
        if self._slow.pop(task, None) is not None:
            self._room.let_go(task)
        self._refused.add(task)
        task.cancel()
