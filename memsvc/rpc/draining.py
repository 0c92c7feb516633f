"""Draining: from one moment on no call begins, and streams end."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from memsvc.errors import Reason, Unavailable


class Draining:
    """Tells calls that the server stops."""

    def __init__(self) -> None:
        self.started = False
        self._limits: set[asyncio.Timeout] = set()

    def start(self) -> None:
        """Refuse calls from now on, and end what waits under `until_drained`."""
        if self.started:
            return
        self.started = True
        now = asyncio.get_running_loop().time()
        for limit in self._limits:
            limit.reschedule(now)

    def check(self) -> None:
        """Raise Unavailable (SERVER_DRAINING) once draining has begun."""
        if self.started:
            raise Unavailable(Reason.SERVER_DRAINING, "server is stopping", retry_after_seconds=1.0)

    @contextlib.asynccontextmanager
    async def until_drained(self) -> AsyncIterator[None]:
        """Cancel the body when draining begins, and raise Unavailable (SERVER_DRAINING)."""
        self.check()
        limit = asyncio.timeout(None)
        self._limits.add(limit)
        try:
            async with limit:
                yield
        except TimeoutError:
            if limit.expired():
                self.check()
            raise
        finally:
            self._limits.discard(limit)
