"""Calls that somebody waits for, and the room that work in the background leaves them."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

from msgspec import Struct, field

_RECENT_SECONDS = 0.005
"""Who has just been answered may well ask again."""
_PAUSES = 2
"""While calls come, the background rests so many times as long as it has worked: it keeps a third of the loop."""


class Foreground(Struct):
    """How many calls are under way on the event loop."""

    calls: int = 0
    _ended: float = 0.0
    _background: asyncio.Lock = field(default_factory=asyncio.Lock)

    def enter(self) -> None:
        """A call begins."""
        self.calls += 1

    def leave(self) -> None:
        """A call has ended."""
        self.calls -= 1
        self._ended = time.monotonic()

    @contextlib.asynccontextmanager
    async def background(self) -> AsyncIterator[None]:
        """Let the block be the only work in the background for as long as it takes, and give way afterwards.

        It computes, and awaits nothing: many that would work at once, each giving way, would leave calls no room.
        """
        async with self._background:
            began = time.monotonic()
            yield
            await self.give_way(time.monotonic() - began)

    async def give_way(self, worked_seconds: float) -> None:
        """Let others run: for a moment, or while calls come in proportion to what the caller has just worked."""
        await asyncio.sleep(0)
        if self.calls or time.monotonic() - self._ended < _RECENT_SECONDS:
            await asyncio.sleep(_PAUSES * worked_seconds)
