"""Calls take turns where many of them have work to do at once.

Whatever is ready runs in one round of the event loop, and only between rounds does it look what has come in: four
hundred lists of 3 MB that are asked for at once would hold everybody up for seconds. So a round has a few milliseconds
for calls; those that come after wait for the next ones. Of a few the oldest is first: it would wait for as long as the
others keep coming. Of a crowd the newest is: whoever comes into it is served soon, and those who have waited longest
have the best chance to have gone.
"""

from __future__ import annotations

import asyncio
import time
from typing import Final

from memsvc.rpc.intake import Intake

ROUND_SECONDS: Final = 0.01
FEW: Final = 32
"""More that wait are a crowd."""
_MOST: Final = 64
_LONGEST_REST_SECONDS: Final = 0.1


class Turns:
    """Gives calls their turn; one for all calls of a server."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake
        self._waiting: list[asyncio.Future[None]] = []
        self._large: list[asyncio.Future[None]] = []
        """Those that have large requests."""
        self._started = 0.0
        self._in_round = False
        self._released = False
        self._share = 1
        """How many of those that wait have their turn in a round: as many as the time was enough for before."""

    def free(self) -> bool:
        """Whether the caller may go on at once: it came in a round that has not lasted long."""
        if not self._in_round:
            self._begin()
            return True
        return time.monotonic() - self._started < ROUND_SECONDS

    async def mine(self) -> None:
        """Return when it is the caller's turn."""
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        if not self._in_round:
            self._begin()
        await turn

    async def large(self) -> None:
        """Return when it is the turn of the caller, whose request takes long: where there are many, between calls."""
        if not self._large and not self._intake.many_large:
            await self.mine()
            return
        turn = asyncio.get_running_loop().create_future()
        self._large.append(turn)
        if len(self._large) == 1:
            self._intake.after(self._next_large)
        await turn

    def _next_large(self) -> None:
        while self._large:
            turn = self._large.pop()
            if not turn.done():
                turn.set_result(None)
                break
        if self._large:
            self._intake.after(self._next_large)

    def _begin(self) -> None:
        self._in_round = True
        self._started = time.monotonic()
        asyncio.get_running_loop().call_soon(self._end)

    def _end(self) -> None:
        """A round is over. After a long one come short ones, for as long, without those that wait.

        In each round gRPC hands over one call: if all were long, whoever comes would wait for as many of them as calls
        have come before.
        """
        self._in_round = False
        taken = time.monotonic() - self._started
        if self._waiting and not self._released:
            self._released = True
            if taken > ROUND_SECONDS:
                self._share = max(1, self._share // 2)
                asyncio.get_running_loop().call_later(min(taken, _LONGEST_REST_SECONDS), self._release)
            else:
                self._share = min(_MOST, self._share * 2)
                self._release()

    def _release(self) -> None:
        """Let some of those that wait run in the next round."""
        self._released = False
        given = 0
        while self._waiting and given < self._share:
            turn = self._waiting.pop(0 if len(self._waiting) <= FEW else -1)
            if not turn.done():
                turn.set_result(None)
                given += 1
        if given and not self._in_round:
            self._begin()
