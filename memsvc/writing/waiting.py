"""Commands that somebody waits for, and how they are told."""

from __future__ import annotations

import asyncio
import time
from typing import Any, Generic

from msgspec import Struct

from memsvc.errors import Aborted, Error, Internal, Reason
from memsvc.journal.commands import Command, R_co, Recorded
from memsvc.journal.records import Body
from memsvc.journal.state import State
from memsvc.log import Log
from memsvc.storage.driver import Driver, Tip

log = Log(__name__)

MAX_CONFLICTS = 64
_PATIENCE_SECONDS = 5.0
"""A command gives up after so many conflicts, but not sooner than this."""


class Waiting(Struct, Generic[R_co], eq=False):
    """A command and who waits for it."""

    command: Command[R_co]
    future: asyncio.Future[R_co]
    arrived: float
    actor: str = ""
    """Who asked for it; empty: nobody knows, or the server itself."""
    conflicts: int = 0
    """How often it was decided, or prepared, in vain: the journal had moved on."""
    prepared_at: Tip | None = None
    """The tip that `prepare` was called for."""

    def is_prepared(self, state: State) -> bool:
        """Return whether all is there that the command is decided on."""
        if self.command.request is not None and state.requests is None:
            return False
        return not self.command.needs(state) or self.prepared_at == state.tip

    def has_ended(self) -> bool:
        """Return whether nobody waits any more; who has waited for too long because others kept winning is told."""
        if self.conflicts > MAX_CONFLICTS and time.monotonic() - self.arrived > _PATIENCE_SECONDS:
            self.fail(Aborted(Reason.TOO_MANY_CONFLICTS, f"gave up after {MAX_CONFLICTS} tries"))
        return self.future.done()

    async def prepare(self, driver: Driver, state: State) -> None:
        """Read what the command needs beside the state."""
        if self.command.needs(state):
            self.conflicts += self.prepared_at is not None
            await self.command.prepare(driver, state)
            self.prepared_at = state.tip

    def answer(self, recorded: Recorded) -> None:
        """Tell what was recorded, if anybody still waits."""
        if self.future.done():
            return
        try:
            self.future.set_result(self.command.result(recorded))
        except Error as error:
            self.future.set_exception(error)
        except Exception as error:
            log.error("answer_failed", error, command=type(self.command).__name__)
            self.future.set_exception(internal(error))

    def fail(self, error: Error) -> None:
        """Tell why nothing was, if anybody still waits."""
        if not self.future.done():
            self.future.set_exception(error)


class Decided(Struct):
    """A command with its decision, in an append that is not durable yet."""

    waiting: Waiting[Any]
    body: Body
    time: int = 0
    repeats: int = 0
    """The record that has the answer, where the request was answered before."""

    def answer(self, state: State) -> None:
        """Tell who waits what was recorded; `state` is the one after it."""
        self.waiting.answer(Recorded(self.body, self.time, state))


def internal(cause: Exception) -> Error:
    """Return what a caller is told of an exception that nobody expected: nothing of it."""
    error = Internal(Reason.INTERNAL, "internal error")
    error.__cause__ = cause
    return error
