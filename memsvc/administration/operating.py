"""Use cases of operators: list users, count what one has, erase one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from memsvc.errors import Reason
from memsvc.extraction.jobs.extractions import pending_runs
from memsvc.extraction.jobs.troubles import Trouble, commonest, waiting_reasons
from memsvc.journal.commands import Command, Decision, Recorded
from memsvc.journal.draft import Moment
from memsvc.journal.lifecycle import cancelled
from memsvc.journal.records import Body, EraseNote, Request
from memsvc.journal.state import State
from memsvc.model import Layer, Scope, Session, decode
from memsvc.paging import binding, make_token, read_token
from memsvc.storage.driver import Driver, PageOf, RecordKind, RowKind
from memsvc.users import LATEST, Consistency, HotUser, Users
from memsvc.writing.writer import Writer

_PAGE_SESSIONS = 500


class Stats(Struct, frozen=True):
    """What a user has."""

    memories: int
    layers: Mapping[Layer, int]
    runs: int
    """Runs ever stored."""
    pending_runs: int
    open_extractions: int
    waiting: Trouble
    """Extractions that wait for a reason."""
    failed: Trouble
    """Extractions that failed and were not retried."""
    update_time: int
    user: HotUser


class ErasedUser(Struct, frozen=True):
    """What an erasure removed."""

    memories: int
    runs: int
    revision: int


class EraseCommand(Command[ErasedUser]):
    """Erase everything about a user. Revisions, numbers and request ids go on, so that none means two things."""

    note: Request | None
    _runs: int = 0

    @property
    def request(self) -> Request | None:
        return self.note

    def needs(self, state: State) -> bool:
        return True

    async def prepare(self, driver: Driver, state: State) -> None:
        self._runs, before = 0, None
        while True:
            rows = await driver.rows(
                PageOf(state.scope, RowKind.SESSION, before=before, descending=True, limit=_PAGE_SESSIONS)
            )
            self._runs += sum(decode(row.body, Session).run_count for row in rows)
            if len(rows) < _PAGE_SESSIONS:
                return
            before = rows[-1].position

    def decide(self, state: State, moment: Moment) -> Decision:
        ended = tuple(
            replace(
                cancelled(extraction, state, moment, Reason.USER_ERASED, "user was erased"), run_ids=(), session_id=""
            )
            for extraction in state.core.open.values()
        )
        body = Body(
            revision=state.revision + 1,
            request=self.note,
            extractions=ended,
            releases=True,
            erase=EraseNote(state.memory_count, self._runs),
        )
        return Decision(RecordKind.ERASE, body)

    def result(self, recorded: Recorded) -> ErasedUser:
        note = recorded.body.erase or EraseNote()
        return ErasedUser(note.memories, note.runs, recorded.body.revision)


class Administration(Struct):
    """What operators do."""

    users: Users
    writer: Writer

    async def list_users(self, namespace: str, page_size: int, page_token: str) -> tuple[Sequence[str], str]:
        """Return a page of the users of a namespace, in order."""
        bound_to = binding("users", namespace)
        position = read_token(page_token, bound_to, str)
        after = str(position[0]) if position is not None else ""
        found = await self.users.driver.users(namespace, after, page_size + 1)
        token = make_token(bound_to, found[page_size - 1]) if len(found) > page_size else ""
        return found[:page_size], token

    async def stats(self, scope: Scope, consistency: Consistency = LATEST) -> Stats:
        """Count what a user has."""
        user = await self.users.read(scope, consistency)
        core = user.state.core
        layers = {layer: len(user.layer(layer)) for layer in Layer}
        return Stats(
            memories=sum(layers.values()),
            layers={layer: count for layer, count in layers.items() if count},
            runs=core.runs,
            pending_runs=pending_runs(user.state),
            open_extractions=len(core.open),
            waiting=commonest(waiting_reasons(core)),
            failed=commonest(core.failed),
            update_time=core.change_time,
            user=user,
        )

    async def erase(self, scope: Scope, note: Request | None) -> ErasedUser:
        """Erase everything about a user; nothing of it can be read on return. Safe to repeat."""
        return await self.writer.write(scope, EraseCommand(note))
