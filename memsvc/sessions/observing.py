"""Storing an observed conversation: each message as a run, in the order of the client's numbers, each of them once.

A session knows the number of its last message. So a message that is sent again is recognised without a look at what is
stored, and one that is missing is missed. For example, after 1, 2 and 3:

    3  is there already: acknowledged, if it is the same message
    4  is stored
    5  is refused: 4 is missing
"""

from __future__ import annotations

import hashlib

from msgspec import Struct
from msgspec.structs import replace

from memsvc.errors import FieldViolation, InvalidArgument, Reason, invalid
from memsvc.journal.commands import Decision, Recorded
from memsvc.journal.draft import Moment
from memsvc.journal.state import State
from memsvc.model import Run, Session, decode
from memsvc.sessions.commands import AppendRunCommand, RunReceipt
from memsvc.storage.driver import Driver, RowKind


class ObserveCommand(AppendRunCommand):
    """Store a message of an observed conversation, which is a run with a number."""

    _there: Run | None = None
    """What is stored under the number."""

    def needs(self, state: State) -> bool:
        session = state.sessions.get(self.run.session_id)
        return session is None or self.run.observed_number <= session.observed_number

    async def prepare(self, driver: Driver, state: State) -> None:
        await super().prepare(driver, state)
        self._there = None
        if self._session is not None and self.run.observed_number <= self._session.observed_number:
            rows = await driver.get(state.scope, RowKind.RUN, (self.run.run_id,))
            self._there = decode(rows[self.run.run_id].body, Run) if rows else None

    def decide(self, state: State, moment: Moment) -> Decision | None:
        session = state.sessions.get(self.run.session_id, self._session)
        last = session.observed_number if session is not None else 0
        number = self.run.observed_number
        if number > last + 1:
            raise invalid("message.number", f"must be {last + 1}")
        if number == last + 1:
            return super().decide(state, moment)
        if self._there is not None and self._there.messages != self.run.messages:
            message = f"message {number} of the session is another one"
            raise InvalidArgument(
                Reason.NUMBER_REUSED, message, (FieldViolation("message.number", message),), {"number": str(last)}
            )
        return None

    def _session_after(self, session: Session | None, run: Run) -> Session:
        return replace(super()._session_after(session, run), observed_number=run.observed_number)

    def result(self, recorded: Recorded) -> RunReceipt:
        if recorded.body.run is not None:
            return super().result(recorded)
        there = self._there or self.run
        return RunReceipt(there.run_id, there.index, there.extraction_id)


class Stretch(Struct, frozen=True):
    """Where an observed conversation stands."""

    last_number: int
    """Of the last message that is stored; 0: none is."""
    extraction_ids: tuple[str, ...]
    """What learns from the session and has not ended."""


def observed_run_id(session_id: str, number: int) -> str:
    """Return the id of the run that a message is: whoever sends the message again finds it."""
    return f"{hashlib.blake2b(session_id.encode(), digest_size=12).hexdigest()}-{number}"
