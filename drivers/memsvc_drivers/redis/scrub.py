"""Gets deleted text out of Redis' append-only file, which keeps all that ever was until it is rewritten.

What this does not reach: an RDB snapshot (`save`) until the next one, the files of replicas until they rewrite theirs,
backups.
"""

from __future__ import annotations

import asyncio

from redis.exceptions import NoPermissionError

from memsvc_drivers.redis.errors import Lost, Rerouted, Unreachable
from memsvc_drivers.redis.nodes import Node
from memsvc_drivers.redis.routing import Route
from memsvc_drivers.redis.settings import ScrubMode, Settings

_POLL_SECONDS = 0.01
_MAX_POLL_SECONDS = 0.25
_MOST_TRIES = 5


class Scrub:
    """Has files rewritten: once for all who ask while a rewrite is under way."""

    def __init__(self, settings: Settings, route: Route) -> None:
        self._settings = settings
        self._route = route
        self._current: asyncio.Task[None] | None = None
        self._next: asyncio.Task[None] | None = None
        self.refused = False
        """Whether the server did not allow it."""

    async def scrub(self, seconds: float) -> None:
        """Return when what was deleted before this call is out of the file, or the time has passed; it goes on."""
        if self._settings.scrub is ScrubMode.OFF or self.refused:
            return
        if self._next is None:
            self._next = asyncio.create_task(self._rewrite(self._current))
        await asyncio.wait((self._next,), timeout=seconds)

    async def close(self) -> None:
        """Leave the rest to the server."""
        tasks = [task for task in (self._current, self._next) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _rewrite(self, before: asyncio.Task[None] | None) -> None:
        if before is not None:
            await asyncio.wait((before,))
        self._current, self._next = self._next, None
        await asyncio.gather(*(self._rewrite_on(node) for node in self._route.nodes()))

    async def _rewrite_on(self, node: Node) -> None:
        try:
            for _ in range(_MOST_TRIES):
                if not await _settled(node):
                    return
                [started] = await node.exchange((("BGREWRITEAOF",),))
                if isinstance(started, NoPermissionError):
                    raise started
                # Refused where another one has just begun, perhaps before the deletion.
                if not isinstance(started, Exception):
                    break
            await _settled(node)
        except NoPermissionError:
            self.refused = True
        except (Lost, Unreachable, Rerouted):
            # The server is gone; whatever it did not rewrite, it will rewrite once it has grown.
            return


async def _settled(node: Node) -> bool:
    """Return when no rewrite is under way: whether there is a file to rewrite. Raises NoPermissionError."""
    pause = _POLL_SECONDS
    while True:
        [info] = await node.exchange((("INFO", "persistence"),))
        if isinstance(info, NoPermissionError):
            raise info
        if not isinstance(info, bytes) or b"aof_enabled:1" not in info:
            return False
        if b"aof_rewrite_in_progress:0" in info and b"aof_rewrite_scheduled:0" in info:
            return True
        await asyncio.sleep(pause)
        pause = min(pause * 2, _MAX_POLL_SECONDS)
