"""Whether calls keep coming, for the large requests that wait for them.

gRPC hands over one call after the other, in the order in which they came, and each takes a few rounds of the event loop
and a turn of another thread. A large request makes a round long. So of three hundred that come at once one would be
read, and gone on with, for each call that is heard, and whoever comes after them would wait for most. Therefore while
there are several, the next is only read, and only gone on with, once no call has come for a few looks: by then all that
have come are known, and the newest has its turn first.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any, Final

_LOOK_SECONDS: Final = 0.001
_LOOKS: Final = 10
"""After so many without a call nobody else is coming: gRPC's threads may need a moment."""
_LONGEST_SECONDS: Final = 0.1
"""So much of the loop's processor time calls may keep a large request waiting: what others on the machine take
meanwhile brings no call nearer."""


class Intake:
    """Notes what comes in; one for all calls of a server."""

    def __init__(self) -> None:
        self._large: set[asyncio.Task[Any]] = set()
        """Whose requests are large."""
        self._looks_alone = 0
        """How often since the last call somebody has looked for one."""
        self._waiting: list[Callable[[], None]] = []

    def call_came(self) -> None:
        """Note a call whose request is not read yet."""
        self._looks_alone = 0

    def large_came(self, task: asyncio.Task[Any]) -> None:
        """Note a large request that was read, of a call that lasts until its task has ended."""
        self._large.add(task)
        task.add_done_callback(self._large.discard)

    @property
    def many_large(self) -> bool:
        """Whether several calls with large requests are under way."""
        return len(self._large) > 1

    def after(self, go_on: Callable[[], None]) -> None:
        """Call `go_on` once no further calls come, or have come for long."""
        self._waiting.append(go_on)
        if len(self._waiting) == 1:
            self._looks_alone = 0
            self._look_soon(time.thread_time() + _LONGEST_SECONDS)

    def _look_soon(self, until: float) -> None:
        asyncio.get_running_loop().call_later(_LOOK_SECONDS, self._look, until)

    def _look(self, until: float) -> None:
        self._looks_alone += 1
        if self._looks_alone < _LOOKS and time.thread_time() < until:
            self._look_soon(until)
            return
        waiting, self._waiting = self._waiting, []
        for go_on in waiting:
            go_on()
