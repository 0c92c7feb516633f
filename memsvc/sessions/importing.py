"""Importing runs: stored as they were elsewhere, many in one record, or in the place of those that have their ids."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from memsvc.journal.commands import Command, Decision, Recorded
from memsvc.journal.draft import Moment
from memsvc.journal.records import Body, ImportedRun, Request, RunNote
from memsvc.journal.state import State
from memsvc.model import (
    Extraction,
    ExtractionKind,
    ImportMode,
    ImportResult,
    LearningState,
    Run,
    Scope,
    Session,
    decode,
    encode,
)
from memsvc.search.embedders.contract import InstantEmbedder
from memsvc.sessions.commands import MAX_JOINED_RUNS, Quiet, check_room, open_summary, run_exists
from memsvc.sessions.said_rows import said_rows
from memsvc.settings import NamespaceSettings
from memsvc.settings.accepting import Terms
from memsvc.storage.driver import Driver, RecordKind, Row, RowKey, RowKind

PART_RUNS = 100
PART_BYTES = 256 << 10
"""One record takes at most so many runs, and so much of them unless it is one."""


class GivenRun(Struct, frozen=True):
    """A run on its way in."""

    place: int
    """In the request."""
    run: Run
    """With its id; an index or a time of 0: it has none yet."""
    size_bytes: int
    learning: LearningState


def parts_of(runs: Sequence[GivenRun]) -> Sequence[Sequence[GivenRun]]:
    """Return what goes into one record each: whatever comes of them, the same for the same request.

    A record accepts one extraction: so what is still to be learned from, in one part, is of one session.
    """
    parts: list[list[GivenRun]] = []
    size = pending = 0
    session_id = ""
    for each in runs:
        size += each.size_bytes
        is_pending = each.learning is LearningState.PENDING
        full = not parts or len(parts[-1]) == PART_RUNS or size > PART_BYTES
        if full or (is_pending and pending and (pending == MAX_JOINED_RUNS or each.run.session_id != session_id)):
            parts.append([])
            size, pending = each.size_bytes, 0
        if is_pending:
            pending, session_id = pending + 1, each.run.session_id
        parts[-1].append(each)
    return parts


class ImportRunsCommand(Command[Sequence[ImportedRun]]):
    """Store runs, in the order given."""

    runs: Sequence[GivenRun]
    mode: ImportMode
    quiet: Quiet
    settings: NamespaceSettings
    extraction_id: str
    """The id for the extraction, should one be needed."""
    whole_request: Request | None = None
    embedder: InstantEmbedder | None = None
    summarize_every: int = 0
    """A session is summarized after so many new runs; 0: only when asked for."""
    _known: Mapping[str, Run] = {}
    """Stored runs that have these ids, that these replace, or that replaced those."""
    _sessions: Mapping[str, Session] = {}

    @property
    def request(self) -> Request | None:
        return self.whole_request

    def needs(self, state: State) -> bool:
        return True

    async def prepare(self, driver: Driver, state: State) -> None:
        names = {each.run.session_id for each in self.runs}
        sessions = await driver.get(state.scope, RowKind.SESSION, sorted(names))
        self._sessions = {name: decode(row.body, Session) for name, row in sessions.items()}
        self._known = await self._read(driver, state.scope)

    async def _read(self, driver: Driver, scope: Scope) -> Mapping[str, Run]:
        known: dict[str, Run] = {}
        looked: set[str] = set()
        wanted = {each.run.run_id for each in self.runs}
        wanted |= {each.run.replaces_run_id for each in self.runs} - {""}
        while wanted:
            looked |= wanted
            rows = await driver.get(scope, RowKind.RUN, sorted(wanted))
            found = {run_id: decode(row.body, Run) for run_id, row in rows.items()}
            known |= found
            wanted = {run.replaced_by for run in found.values()} - {""} - looked
        return known

    def decide(self, state: State, moment: Moment) -> Decision:
        work = _Work(dict(self._known), dict(self._sessions), state.core.next_index)
        pending: list[GivenRun] = []
        outcomes: list[ImportedRun] = []
        for each in self.runs:
            there = self._known.get(each.run.run_id)
            if there is not None and self.mode is ImportMode.SKIP:
                outcomes.append(ImportedRun(there.run_id, there.index, ImportResult.SKIPPED))
                continue
            if there is not None and (self.mode is ImportMode.FAIL or there.session_id != each.run.session_id):
                raise run_exists(each.run.run_id, f"records[{each.place}].run.run_id")
            run = replace(each.run, create_time=each.run.create_time or moment.time)
            if there is not None and there.extraction_id in state.core.open:
                run = replace(run, extraction_id=there.extraction_id, learning=None)
            elif each.learning is LearningState.PENDING and self.settings.of(run.agent_id).learns_from_runs:
                run = replace(run, extraction_id=self.extraction_id, learning=None)
                pending.append(each)
            elif each.learning is LearningState.OFF:
                run = replace(run, extraction_id="", learning=None)
            else:
                skipped = each.learning is LearningState.PENDING
                run = replace(run, learning=LearningState.SKIPPED if skipped else each.learning)
            index = work.add(run) if there is None else work.rewrite(there, run)
            result = ImportResult.CREATED if there is None else ImportResult.OVERWRITTEN
            outcomes.append(ImportedRun(run.run_id, index, result))
        extractions: tuple[Extraction, ...] = ()
        if pending:
            check_room(state)
            extractions = (self._extraction(pending, state, moment),)
        puts, deletes = self._rows(work)
        body = Body(
            revision=state.revision,
            request=self.request,
            runs=tuple(work.notes),
            sessions=tuple(work.sessions[name] for name in work.moved),
            rewritten=tuple(work.rewritten),
            extractions=extractions,
            imported_runs=tuple(outcomes),
            summarize=self._summarize(work, state, moment),
            said_settled=state.owing({run.run_id for run in work.changed()}),
        )
        return Decision(RecordKind.RUN, body, puts, deletes)

    def _summarize(self, work: _Work, state: State, moment: Moment) -> Mapping[str, int]:
        """Return when sessions are to be summarized, of those that have grown by enough.

        Summaries are not exported: they are made anew. Runs whose learning is OFF are for no model to read.
        """
        read = {each.run.session_id for each in self.runs if each.learning is not LearningState.OFF}
        time = moment.now + int(self.quiet.seconds * 1_000_000)
        return {
            name: time
            for name in work.moved
            if name in read
            and 0 < self.summarize_every <= work.sessions[name].run_count - work.sessions[name].summarized_runs
            and name not in state.core.summarize
            and open_summary(state, name) is None
        }

    def _extraction(self, pending: Sequence[GivenRun], state: State, moment: Moment) -> Extraction:
        last = pending[-1].run
        extraction = Extraction(
            extraction_id=self.extraction_id,
            kind=ExtractionKind.RUNS,
            next_attempt_time=moment.now + int(self.quiet.seconds * 1_000_000),
            session_id=last.session_id,
            run_ids=tuple(each.run.run_id for each in pending),
            agent_id=last.agent_id,
            team_id=last.team_id,
            position=state.tip.seq + 1,
            create_time=moment.now,
            size_bytes=sum(each.size_bytes for each in pending),
        )
        return Terms.of(self.settings.of(last.agent_id)).put_on(extraction)

    def _rows(self, work: _Work) -> tuple[list[Row], list[RowKey]]:
        puts: list[Row] = []
        deletes: list[RowKey] = []
        for run in work.changed():
            puts.append(Row(RowKind.RUN, run.run_id, encode(run), run.session_id, run.index))
            said = [] if run.replaced else said_rows(run, self.embedder)
            puts += said
            if not said and run.run_id in self._known:
                deletes.append(RowKey(RowKind.SAID, run.run_id))
        deletes += [RowKey(RowKind.SUMMARY, name) for name in work.outdated_summaries]
        return puts, deletes

    def result(self, recorded: Recorded) -> Sequence[ImportedRun]:
        return recorded.body.imported_runs


class _Work:
    """Runs and sessions as they will be."""

    def __init__(self, runs: dict[str, Run], sessions: dict[str, Session], next_index: int) -> None:
        self.sessions = sessions
        self.notes: list[RunNote] = []
        self.rewritten: list[str] = []
        self.moved: dict[str, None] = {}
        """Sessions that are not as they were."""
        self.outdated_summaries: dict[str, None] = {}
        """Sessions whose summary has what is no longer said in them."""
        self._runs = runs
        self._changed: dict[str, None] = {}
        self._next_index = next_index

    def changed(self) -> Sequence[Run]:
        return [self._runs[run_id] for run_id in self._changed]

    def add(self, run: Run) -> int:
        """Add a run that is not there yet; return its index."""
        run = replace(run, index=max(run.index, self._next_index))
        self._next_index = run.index + 1
        replaced = self._replaced(run)
        self._put(run)
        session = self.sessions.get(run.session_id) or Session(session_id=run.session_id, create_time=run.create_time)
        self._move(
            replace(
                session,
                run_count=session.run_count + 1,
                message_count=session.message_count + len(run.messages),
                last_index=run.index,
                observed_number=max(session.observed_number, run.observed_number),
                agent_id=run.agent_id or session.agent_id,
                team_id=run.team_id or session.team_id,
                update_time=max(session.update_time, run.create_time),
            )
        )
        self.notes.append(RunNote(run.session_id, run.run_id, run.index, run.extraction_id, replaced))
        return run.index

    def rewrite(self, there: Run, run: Run) -> int:
        """Let a run take the place of the one that has its id; return its index."""
        run = replace(
            run,
            index=there.index,
            replaces_run_id=there.replaces_run_id,
            replaced_by=self._runs[run.run_id].replaced_by,
        )
        self._put(run)
        self.rewritten.append(run.run_id)
        session = self.sessions.get(run.session_id)
        if session is not None and not run.replaced:
            more = len(run.messages) - len(there.messages)
            self._move(self._summarized_anew(replace(session, message_count=session.message_count + more), there))
        return run.index

    def _summarized_anew(self, session: Session, gone: Run) -> Session:
        """Return a session without its summary, where that covers what is gone."""
        if gone.index > session.summarized_through:
            return session
        self.outdated_summaries[session.session_id] = None
        return replace(session, summarized_through=0, summarized_runs=0)

    def _replaced(self, run: Run) -> str:
        """Let the run that this one replaces leave the history; return which one was in it until now."""
        named = self._runs.get(run.replaces_run_id)
        if named is None or named.session_id != run.session_id:
            return ""
        last = named
        while last.replaced_by in self._runs:
            last = self._runs[last.replaced_by]
        if not last.replaced:
            session = self._summarized_anew(self.sessions[run.session_id], last)
            self._move(
                replace(
                    session,
                    run_count=session.run_count - 1,
                    message_count=session.message_count - len(last.messages),
                )
            )
        for each in (named, last):
            self._put(replace(self._runs[each.run_id], replaced_by=run.run_id))
        return last.run_id

    def _put(self, run: Run) -> None:
        self._runs[run.run_id] = run
        self._changed[run.run_id] = None

    def _move(self, session: Session) -> None:
        self.sessions[session.session_id] = session
        self.moved[session.session_id] = None
