"""The contract of a command: something to do to one user, decided on its state."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, NamedTuple, TypeVar

from msgspec import Struct

from memsvc.journal.draft import Moment
from memsvc.journal.records import Body, Request
from memsvc.journal.state import State
from memsvc.storage.driver import Driver, RecordKind, Row, RowKey

R_co = TypeVar("R_co", covariant=True)


class Decision(NamedTuple):
    """What a command leads to: one record, and rows that only the command knows."""

    kind: RecordKind
    body: Body
    puts: Sequence[Row] = ()
    deletes: Sequence[RowKey] = ()


class Recorded(NamedTuple):
    """What was recorded for a command."""

    body: Body
    time: int
    """Of the record; 0 where nothing had to be recorded."""
    state: State
    """The state after it, or a newer one."""


class Command(Struct, Generic[R_co], eq=False):
    """Something to do to one user."""

    @property
    def request(self) -> Request | None:
        """What makes it safe to repeat; None for the server's own commands."""
        return None

    def needs(self, state: State) -> bool:
        """Return whether `prepare` has to read rows before this can be decided on `state`."""
        return False

    async def prepare(self, driver: Driver, state: State) -> None:
        """Read what the decision needs beside the state, as it is at the state's tip or later."""

    def decide(self, state: State, moment: Moment) -> Decision | None:
        """Return what to append; None: nothing. Pure, but for what `prepare` read. Raises Error."""
        raise NotImplementedError

    def result(self, recorded: Recorded) -> R_co:
        """Return the answer, from what was recorded: a repeat gets the same."""
        raise NotImplementedError
