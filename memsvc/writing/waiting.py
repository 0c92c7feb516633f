"""Commands that somebody waits for, and how they are told."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Generic

from msgspec import Struct

from memsvc.errors import Error, Internal, Reason
from memsvc.journal.commands import Command, R_co, Recorded
from memsvc.journal.records import Body
from memsvc.journal.state import State

logger = logging.getLogger(__name__)


class Waiting(Struct, Generic[R_co], eq=False):
    """A command and who waits for it."""

    command: Command[R_co]
    future: asyncio.Future[R_co]
    arrived: float
    conflicts: int = 0
    prepared_at: object = None
    """The tip that `prepare` was called for."""

    def answer(self, recorded: Recorded) -> None:
        """Tell what was recorded, if anybody still waits."""
        if self.future.done():
            return
        try:
            self.future.set_result(self.command.result(recorded))
        except Error as error:
            self.future.set_exception(error)
        except Exception as error:
            logger.exception("action=answer_failed command=%s", type(self.command).__name__)
            self.future.set_exception(internal(error))

    def fail(self, error: Error) -> None:
        """Tell why nothing was, if anybody still waits."""
        if not self.future.done():
            self.future.set_exception(error)


class Decided(Struct):
    """A command with its decision, in an append that is not durable yet."""

    waiting: Waiting[Any]
    body: Body | None
    time: int = 0
    repeats: int = 0
    """The record that has the answer, where the request was seen before."""

    def answer(self, state: State) -> None:
        """Tell who waits what was recorded; `state` is the one after it."""
        assert self.body is not None
        self.waiting.answer(Recorded(self.body, self.time, state))


def internal(cause: Exception) -> Error:
    """Return what a caller is told of an exception that nobody expected: nothing of it."""
    error = Internal(Reason.INTERNAL, "internal error")
    error.__cause__ = cause
    return error
