"""What a sweep does to one user, a bounded part of it at a time; and how it notes how far it has come."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

from msgspec import field
from msgspec.structs import replace

from memsvc.journal.commands import Command, Decision, Recorded
from memsvc.journal.draft import Moment
from memsvc.journal.records import Body, Forgotten, SweepNote
from memsvc.journal.state import State
from memsvc.model import Extraction, ExtractionState, Run, Session, decode, encode
from memsvc.storage.driver import Driver, PageOf, RecordKind, Row, RowKey, RowKind

RUNS: Final = 16
"""So many at a time: each may be megabytes."""
EXTRACTIONS: Final = 200


class ForgetRuns(Command[Forgotten]):
    """Delete the oldest runs that were stored before a time, with what they can be found by.

    Those that are still to be learned from stay until they are.
    """

    before: int
    after: int = 0
    """Only runs of a higher index."""
    _page: Sequence[Run] = ()
    _sessions: Mapping[str, Session] = field(default_factory=dict)

    def needs(self, state: State) -> bool:
        return True

    async def prepare(self, driver: Driver, state: State) -> None:
        rows = await driver.rows(PageOf(state.scope, RowKind.RUN, after=self.after, limit=RUNS))
        self._page = [decode(row.body, Run) for row in rows]
        named = {run.session_id: None for run in self._page if run.session_id}
        found = await driver.get(state.scope, RowKind.SESSION, list(named)) if named else {}
        self._sessions = {key: decode(row.body, Session) for key, row in found.items()}

    def decide(self, state: State, moment: Moment) -> Decision | None:
        old = [run for run in self._page if run.create_time < self.before]
        going = [run for run in old if run.extraction_id not in state.core.open]
        if not old:
            return None
        sessions = {run.session_id: self._session(state, run.session_id) for run in going if run.session_id}
        puts, deletes = self._without(sessions, going)
        forgotten = Forgotten(
            runs=len(going),
            session_ids=tuple(sessions),
            more=len(old) == RUNS,
            reached=old[-1].index,
        )
        deletes.extend(RowKey(kind, run.run_id) for run in going for kind in (RowKind.RUN, RowKind.SAID))
        settled = state.owing({run.run_id for run in going})
        body = Body(revision=state.revision, forgotten=forgotten, said_settled=settled)
        return Decision(RecordKind.SWEEP, body, puts, deletes)

    def _session(self, state: State, session_id: str) -> Session | None:
        return state.sessions.get(session_id, self._sessions.get(session_id))

    def _without(self, sessions: Mapping[str, Session | None], going: Sequence[Run]) -> tuple[list[Row], list[RowKey]]:
        """Return the rows of sessions without these runs, and the keys of those that have none left."""
        puts: list[Row] = []
        deletes: list[RowKey] = []
        for session_id, session in sessions.items():
            counted = [run for run in going if run.session_id == session_id and not run.replaced]
            if session is None:
                continue
            left = replace(
                session,
                run_count=session.run_count - len(counted),
                message_count=session.message_count - sum(len(run.messages) for run in counted),
            )
            covered = sum(1 for run in counted if run.index <= session.summarized_through)
            left = replace(left, summarized_runs=max(0, session.summarized_runs - covered))
            if left.run_count > 0:
                puts.append(Row(RowKind.SESSION, session_id, encode(left), "", left.last_index))
            else:
                deletes += [RowKey(RowKind.SESSION, session_id), RowKey(RowKind.SUMMARY, session_id)]
        return puts, deletes

    def result(self, recorded: Recorded) -> Forgotten:
        return recorded.body.forgotten or Forgotten()


class ForgetExtractions(Command[Forgotten]):
    """Delete extractions that ended before a time, among the next ones in the order in which they were accepted."""

    before: int
    after: int = 0
    """Only those of a higher position."""
    _page: Sequence[Extraction] = ()

    def needs(self, state: State) -> bool:
        return True

    async def prepare(self, driver: Driver, state: State) -> None:
        rows = await driver.rows(PageOf(state.scope, RowKind.EXTRACTION, after=self.after, limit=EXTRACTIONS))
        self._page = [decode(row.body, Extraction) for row in rows]

    def decide(self, state: State, moment: Moment) -> Decision | None:
        going = [
            each
            for each in self._page
            if each.end_time and each.end_time < self.before and each.extraction_id not in state.core.open
        ]
        # What was accepted later than this has ended later, too.
        more = len(self._page) == EXTRACTIONS and self._page[-1].create_time < self.before
        if not going and not more:
            return None
        failed = Counter(each.reason for each in going if each.state is ExtractionState.FAILED)
        forgotten = Forgotten(extractions=len(going), failed=dict(failed), more=more, reached=self._page[-1].position)
        deletes = [RowKey(RowKind.EXTRACTION, each.extraction_id) for each in going]
        return Decision(RecordKind.SWEEP, Body(revision=state.revision, forgotten=forgotten), (), deletes)

    def result(self, recorded: Recorded) -> Forgotten:
        return recorded.body.forgotten or Forgotten()


class NoteSweep(Command[None]):
    """Note how far a sweep has come, if nobody else has noted more meanwhile."""

    before: SweepNote
    note: SweepNote

    def decide(self, state: State, moment: Moment) -> Decision | None:
        if state.core.sweep != self.before:
            return None
        return Decision(RecordKind.SWEEP, Body(revision=state.revision, sweep=self.note))

    def result(self, recorded: Recorded) -> None:
        return None
