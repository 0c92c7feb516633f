"""What is done to sessions: runs are stored, sessions deleted. Each is one command, decided on the user's state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from memsvc.errors import AlreadyExists, FieldViolation, NotFound, Reason, ResourceExhausted
from memsvc.journal.commands import Command, Decision, Recorded
from memsvc.journal.draft import Draft, Moment
from memsvc.journal.lifecycle import cancelled
from memsvc.journal.purged import learned_from
from memsvc.journal.records import Body, Request, RunNote, SessionDeletion
from memsvc.journal.state import State
from memsvc.memories.writing import clearable
from memsvc.model import Extraction, ExtractionKind, ExtractionState, LearningMode, Run, Scope, Session, decode, encode
from memsvc.search.embedders.contract import InstantEmbedder
from memsvc.sessions.said_rows import may_owe, said_rows
from memsvc.sessions.stored import Stored, stored
from memsvc.settings.accepting import NO_TERMS, Terms
from memsvc.storage.driver import Driver, PageOf, RecordKind, Row, RowKey, RowKind

MAX_JOINED_RUNS = 32
MAX_JOINED_BYTES = 64 << 10
MAX_OPEN_EXTRACTIONS = 1_000
"""Of one user: they are part of its state, and an erasure ends them all in one record."""
_DELETED_RUNS = 1_000


class RunReceipt(Struct, frozen=True):
    """A run that was stored."""

    run_id: str
    index: int
    extraction_id: str
    """Empty: it is not learned from."""


class SessionDeleted(Struct, frozen=True):
    """What went with a session."""

    runs: int
    memories: int
    revision: int
    more: bool = False


class Quiet(Struct, frozen=True):
    """How long a run waits for the next one of its session, so that both are learned from together."""

    seconds: float
    max_seconds: float
    """However many runs follow, the first one waits no longer than this."""


class AppendRunCommand(Command[RunReceipt]):
    """Store a run and, where runs are learned from, its place in an extraction."""

    run: Run
    """With its id; index, times and extraction are given here."""
    size_bytes: int
    mode: LearningMode
    quiet: Quiet
    extraction_id: str
    """The id for the extraction, should a new one be needed."""
    named_by_client: bool = False
    request: Request | None = None
    embedder: InstantEmbedder | None = None
    """Makes the vectors of what the user said, where the run is not learned from; None: it is found by its words
    alone."""
    summarize_every: int = 0
    """The session is summarized after so many new runs; 0: only when asked for."""
    skip_stored: bool = False
    """Store only those of its messages that the session does not hold yet."""
    terms: Terms = NO_TERMS
    """The settings that it is learned from under."""
    _stored: Stored | None = None
    _session: Session | None = None
    _taken: bool = False
    _chain: Sequence[Run] = ()
    """The run that is to be replaced, the one that replaced it, and so on to the one that is in the history."""

    def needs(self, state: State) -> bool:
        named = self.named_by_client or self.run.replaces_run_id or self.skip_stored
        # Who has no runs has no sessions.
        return bool(named) or (state.core.runs > 0 and self.run.session_id not in state.sessions)

    async def prepare(self, driver: Driver, state: State) -> None:
        scope, run = state.scope, self.run
        sessions = await driver.get(scope, RowKind.SESSION, (run.session_id,))
        self._session = decode(sessions[run.session_id].body, Session) if sessions else None
        runs: Mapping[str, Row] = {}
        if self.named_by_client or run.replaces_run_id:
            runs = await driver.get(scope, RowKind.RUN, tuple(filter(None, (run.run_id, run.replaces_run_id))))
        self._taken = run.run_id in runs
        named = runs.get(run.replaces_run_id)
        self._chain = await _chain(driver, scope, decode(named.body, Run)) if named is not None else ()
        if self.skip_stored:
            replaced = self._chain[-1].run_id if self._chain else ""
            self._stored = await stored(driver, scope, run.session_id, run.messages, replaced)
            self.size_bytes = min(self.size_bytes, sum(len(encode(message)) for message in self._stored.new))

    def decide(self, state: State, moment: Moment) -> Decision | None:
        run = self.run
        if self._taken:
            raise run_exists(run.run_id, "run.run_id")
        if run.replaces_run_id and not (self._chain and self._chain[0].session_id == run.session_id):
            violation = FieldViolation("run.replaces_run_id", "must be a run of this session")
            raise NotFound(Reason.RUN_NOT_FOUND, f"no run {run.replaces_run_id} in this session", (violation,))
        if self._stored is not None:
            if not self._stored.new and self._stored.last is not None:
                return self._nothing_new(state, self._stored.last)
            run = replace(run, messages=tuple(self._stored.new))
        extraction = self._extraction(state, moment.now)
        run = replace(
            run,
            index=state.core.next_index,
            create_time=moment.time,
            extraction_id=extraction.extraction_id if extraction is not None else "",
        )
        session = self._session_after(state.sessions.get(run.session_id, self._session), run)
        puts = [Row(RowKind.RUN, run.run_id, encode(run), run.session_id, run.index)]
        deletes = []
        owes = extraction is not None and may_owe(state, self.size_bytes)
        if not owes:
            puts += said_rows(run, self.embedder)
        replaced_runs = {each.run_id: each for each in (*self._chain[:1], *self._chain[-1:])}
        for replaced in replaced_runs.values():
            # The one that was named points to the newest from now on: a long chain is walked once.
            gone = replace(replaced, replaced_by=run.run_id)
            puts.append(Row(RowKind.RUN, gone.run_id, encode(gone), gone.session_id, gone.index))
            if not replaced.replaced:
                session = replace(session, replaced_runs=session.replaced_runs + 1)
                if replaced.index <= session.summarized_through:
                    # What a run said that is no longer part of the history is in the summary, too: it is made anew.
                    deletes.append(RowKey(RowKind.SUMMARY, session.session_id))
                    session = replace(session, summarized_through=0, summarized_runs=0)
                deletes.append(RowKey(RowKind.SAID, gone.run_id))
                session = replace(
                    session,
                    run_count=session.run_count - 1,
                    message_count=session.message_count - len(gone.messages),
                )
        body = Body(
            revision=state.revision,
            request=self.request,
            run=RunNote(
                run.session_id, run.run_id, run.index, run.extraction_id, self._chain[-1].run_id if self._chain else ""
            ),
            session=session,
            extractions=(extraction,) if extraction is not None else (),
            summarize=self._summarize(state, moment, session),
            said_owed=owes,
            said_settled=state.owing(replaced_runs),
        )
        return Decision(RecordKind.RUN, body, puts, deletes)

    def _nothing_new(self, state: State, last: Run) -> Decision | None:
        """Note what the request is answered with: later, when more was said, a repeat would be taken for new."""
        if self.request is None:
            return None
        known = RunNote(last.session_id, last.run_id, last.index, last.extraction_id)
        return Decision(RecordKind.RUN, Body(revision=state.revision, request=self.request, known_run=known))

    def _summarize(self, state: State, moment: Moment, session: Session) -> Mapping[str, int]:
        """Return when the session is to be summarized, where it is time to."""
        new = session.run_count - session.summarized_runs
        if self.mode is LearningMode.OFF or not 0 < self.summarize_every <= new:
            return {}
        if session.session_id in state.core.summarize or open_summary(state, session.session_id) is not None:
            return {}
        return {session.session_id: moment.now + int(self.quiet.seconds * 1_000_000)}

    def _extraction(self, state: State, now: int) -> Extraction | None:
        """Return the extraction that learns from the run: one of its session that still waits, or a new one."""
        if self.mode in (LearningMode.OFF, LearningMode.AGENTIC):
            return None
        run = self.run
        latest_start = now + int(self.quiet.seconds * 1_000_000)
        for waiting in reversed(list(state.core.open.values())):
            if (
                waiting.session_id == run.session_id
                and waiting.kind is ExtractionKind.RUNS
                and waiting.state is ExtractionState.WAITING
                and waiting.attempt == 0
                and waiting.settings_digest == self.terms.digest
                and len(waiting.run_ids) < MAX_JOINED_RUNS
                and waiting.size_bytes + self.size_bytes <= MAX_JOINED_BYTES
            ):
                patience = waiting.create_time + int(self.quiet.max_seconds * 1_000_000)
                start = max(now, min(latest_start, patience))
                if waiting.reason or waiting.next_attempt_time <= now:
                    # Postponed because of its engine, or hastened: a further run changes neither.
                    start = waiting.next_attempt_time
                return replace(
                    waiting,
                    run_ids=(*waiting.run_ids, run.run_id),
                    size_bytes=waiting.size_bytes + self.size_bytes,
                    next_attempt_time=start,
                    trace=waiting.trace or self.terms.trace,
                )
        check_room(state)
        extraction = Extraction(
            extraction_id=self.extraction_id,
            kind=ExtractionKind.RUNS,
            next_attempt_time=latest_start,
            session_id=run.session_id,
            run_ids=(run.run_id,),
            agent_id=run.agent_id,
            team_id=run.team_id,
            position=state.tip.seq + 1,
            create_time=now,
            size_bytes=self.size_bytes,
        )
        return self.terms.put_on(extraction)

    def _session_after(self, session: Session | None, run: Run) -> Session:
        if session is None:
            session = Session(session_id=run.session_id, create_time=run.create_time)
        return replace(
            session,
            run_count=session.run_count + 1,
            message_count=session.message_count + len(run.messages),
            last_index=run.index,
            agent_id=run.agent_id or session.agent_id,
            team_id=run.team_id or session.team_id,
            update_time=max(session.update_time, run.create_time),
        )

    def result(self, recorded: Recorded) -> RunReceipt:
        run: RunNote | Run | None = recorded.body.run or recorded.body.known_run
        if run is None and self._stored is not None:
            run = self._stored.last
        assert run is not None
        return RunReceipt(run.run_id, run.index, run.extraction_id)


def run_exists(run_id: str, path: str) -> AlreadyExists:
    """Return the error for a run whose id is taken."""
    violation = FieldViolation(path, "is taken")
    return AlreadyExists(Reason.RUN_EXISTS, f"run {run_id} exists", (violation,), {"run_id": run_id})


def open_summary(state: State, session_id: str) -> Extraction | None:
    """Return the extraction that is to summarize a session, if there is one."""
    return next(
        (
            each
            for each in state.core.open.values()
            if each.kind is ExtractionKind.SUMMARY and each.session_id == session_id
        ),
        None,
    )


def summary_extraction(state: State, moment: Moment, session: Session, extraction_id: str) -> Extraction:
    """Return a new extraction that summarizes a session."""
    return Extraction(
        extraction_id=extraction_id,
        kind=ExtractionKind.SUMMARY,
        next_attempt_time=moment.now,
        session_id=session.session_id,
        agent_id=session.agent_id,
        team_id=session.team_id,
        position=state.tip.seq + 1,
        create_time=moment.now,
    )


async def _chain(driver: Driver, scope: Scope, run: Run) -> Sequence[Run]:
    """Return a run and those that replaced it, one after the other; as far as they are kept."""
    chain = [run]
    while run.replaced_by:
        rows = await driver.get(scope, RowKind.RUN, (run.replaced_by,))
        if run.replaced_by not in rows:
            break
        run = decode(rows[run.replaced_by].body, Run)
        chain.append(run)
    return chain


def check_room(state: State) -> None:
    """Raise ResourceExhausted where no further extraction of the user may be open."""
    if len(state.core.open) >= MAX_OPEN_EXTRACTIONS:
        raise ResourceExhausted(
            Reason.TOO_MANY_EXTRACTIONS,
            f"{MAX_OPEN_EXTRACTIONS} extractions of the user have not ended: wait, or cancel some",
            metadata={"limit": str(MAX_OPEN_EXTRACTIONS)},
        )


class DeleteSessionCommand(Command[SessionDeleted]):
    """Delete a session and its runs, and with `forget` the memories from it: in parts where there are very many."""

    session_id: str
    forget: bool
    purges: bool
    allow_missing: bool
    whole_request: Request | None
    part: int = 0
    runs: int = 0
    memories: int = 0
    """In the parts before."""
    _exists: bool = False
    _run_ids: Sequence[str] = ()

    @property
    def request(self) -> Request | None:
        return self.whole_request.of_part(self.part) if self.whole_request is not None else None

    def needs(self, state: State) -> bool:
        return True

    async def prepare(self, driver: Driver, state: State) -> None:
        self._exists = bool(await driver.get(state.scope, RowKind.SESSION, (self.session_id,)))
        rows = await driver.rows(PageOf(state.scope, RowKind.RUN, group=self.session_id, limit=_DELETED_RUNS + 1))
        self._run_ids = [row.row_id for row in rows]

    def decide(self, state: State, moment: Moment) -> Decision:
        if not self._exists:
            if not self.allow_missing and not self.part:
                raise NotFound(Reason.SESSION_NOT_FOUND, f"no session {self.session_id}")
            gone = SessionDeletion("", self.runs, self.memories)
            return Decision(
                RecordKind.COMMIT, Body(revision=state.revision, request=self.request, session_deletion=gone)
            )
        learned = (each for each in state.all_memories() if self.forget and each.origin.session_id == self.session_id)
        draft = Draft(state, moment, quota=0)
        forgotten, more = clearable(state, learned)
        for memory in forgotten:
            if draft.find(memory.memory_id) is not None:
                draft.delete(memory)
        run_ids = self._run_ids[:_DELETED_RUNS]
        more = more or len(self._run_ids) > _DELETED_RUNS
        ended = tuple(
            cancelled(extraction, state, moment, Reason.CANCELLED_BY_REQUEST, "its session was deleted")
            for extraction in state.core.open.values()
            if extraction.session_id == self.session_id
        )
        ended_ids = {extraction.extraction_id for extraction in ended}
        body = draft.body(
            self.request,
            purges=(learned_from(self.session_id), *(each.memory_id for each in draft.changes)) if self.purges else (),
            extractions=ended,
            releases=state.ends_claim(ended_ids),
            session_deletion=SessionDeletion(
                "" if more else self.session_id, self.runs + len(run_ids), self.memories + len(draft.changes)
            ),
            more=more,
            said_settled=state.owing(run_ids),
        )
        return Decision(
            RecordKind.COMMIT,
            body,
            (),
            [
                RowKey(RowKind.SUMMARY, self.session_id),
                *(RowKey(kind, run_id) for run_id in run_ids for kind in (RowKind.RUN, RowKind.SAID)),
            ],
        )

    def result(self, recorded: Recorded) -> SessionDeleted:
        gone = recorded.body.session_deletion or SessionDeletion("")
        return SessionDeleted(gone.runs, gone.memories, recorded.body.revision, recorded.body.more)
