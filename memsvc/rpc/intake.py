"""Whether calls keep coming, for the large requests that wait for them.

gRPC hands over one call after the other, in the order in which they came, and each takes a few rounds of the event loop
and a turn of another thread. A large request makes a round long. So of three hundred that come at once one would be
read, and gone on with, for each call that is heard, and whoever comes after them would wait for most. Therefore while
there are many, the next is only read, and only gone on with, once calls have become rare, or some have been heard:
then of those that have come whoever is not in the crowd has been served before.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any, Final

FEW_LARGE: Final = 4
"""So many hold nobody up for long: a few clients that send one after the other are no crowd."""
_LOOK_SECONDS: Final = 0.001
_LOOKS: Final = 10
"""After so many without a call nobody else is coming: gRPC's threads may need a moment."""
_RARE_SECONDS: Final = 0.004
"""Calls that come no faster than one in this time are handed over as they come: none waits behind others."""
_MOST_CALLS: Final = 32
"""After so many a large request has its turn although they keep coming."""
_LONGEST_SECONDS: Final = 0.05
"""So does it after so long: nobody is read meanwhile, and who is not read for a second is refused."""


class Intake:
    """Notes what comes in; one for all calls of a server."""

    def __init__(self) -> None:
        self._large: set[asyncio.Task[Any]] = set()
        """Whose requests are large."""
        self.large_went: Final = self._large.discard
        """Notes that a call needs its request no more: a stream may stay open for hours after it was stored."""
        self._calls = 0
        """How many have come since somebody began to wait."""
        self._looks = self._looks_alone = 0
        """How often since then, and since the last call, somebody has looked for one."""
        self._waiting: list[Callable[[], None]] = []

    def call_came(self) -> None:
        """Note a call whose request is not read yet."""
        self._calls += 1
        self._looks_alone = 0

    def large_came(self, task: asyncio.Task[Any]) -> None:
        """Note a large request that was read, of a call that lasts until its task has ended."""
        self._large.add(task)
        task.add_done_callback(self.large_went)

    @property
    def many_large(self) -> bool:
        """Whether more than a few calls with large requests are under way."""
        return len(self._large) > FEW_LARGE

    def after(self, go_on: Callable[[], None]) -> None:
        """Call `go_on` once hardly any further calls come, or enough have come."""
        self._waiting.append(go_on)
        if len(self._waiting) == 1:
            self._calls = self._looks = self._looks_alone = 0
            self._look_soon(time.monotonic())

    def _look_soon(self, since: float) -> None:
        asyncio.get_running_loop().call_later(_LOOK_SECONDS, self._look, since)

    def _look(self, since: float) -> None:
        self._looks += 1
        self._looks_alone += 1
        seconds = time.monotonic() - since
        are_rare = self._looks >= _LOOKS and seconds > self._calls * _RARE_SECONDS
        are_enough = self._calls >= _MOST_CALLS or seconds >= _LONGEST_SECONDS
        if not (self._looks_alone >= _LOOKS or are_rare or are_enough):
            self._look_soon(since)
            return
        waiting, self._waiting = self._waiting, []
        for go_on in waiting:
            go_on()
