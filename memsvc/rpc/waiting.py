"""Waiting for an extraction within a call: what was accepted is answered, whatever becomes of the wait."""

from __future__ import annotations

import asyncio
from typing import Final

from memsvc.application import Application
from memsvc.errors import Error
from memsvc.model import Commit, Extraction, Scope
from memsvc.rpc.calling import Context
from memsvc.rpc.draining import Draining
from memsvc.rpc.interceptors import remaining_seconds
from memsvc.rpc.room import Room

REPLY_SECONDS: Final = 0.25
"""A wait ends so long before the call's deadline: time to read what came of it, and to answer."""
LATE_SECONDS: Final = 0.05
"""How long past its end a wait may go on for the database's last answer."""


class Waiting:
    """Waits for extractions in calls that hold nothing else by then."""

    def __init__(self, application: Application, drain: Draining, room: Room) -> None:
        self._extractions = application.extractions
        self._default_deadline = application.settings.default_deadline_seconds
        self._drain = drain
        self._room = room

    async def until_ended(
        self, scope: Scope, extraction_id: str, seconds: float, context: Context
    ) -> tuple[Extraction, Commit | None] | None:
        """Return the extraction as it is once it has ended, or time is over; None: that could not be seen."""
        self._room.let_go(asyncio.current_task())
        remaining = remaining_seconds(context, self._default_deadline) - REPLY_SECONDS
        seconds = max(0.0, min(seconds, remaining))
        try:
            async with self._drain.until_drained(), asyncio.timeout(seconds + LATE_SECONDS):
                return await self._extractions.wait(scope, extraction_id, seconds)
        except (Error, TimeoutError):
            return None
