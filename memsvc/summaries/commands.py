"""What is done to the summary of a session: it is asked for, and it is stored. Each is one command."""

from __future__ import annotations

from msgspec import Struct, structs

from memsvc.errors import NotFound, Reason
from memsvc.journal.commands import Command, Decision, Recorded
from memsvc.journal.draft import Moment
from memsvc.journal.lifecycle import hastened, standing, succeeded, waiting_again
from memsvc.journal.records import Body, Claim, Request, SummaryNote
from memsvc.journal.state import State
from memsvc.model import Extraction, ExtractionState, Session, Summary, Usage, decode, encode
from memsvc.sessions.commands import check_room, open_summary, summary_extraction
from memsvc.storage.driver import Driver, RecordKind, Row, RowKind


class SummarizedPart(Struct, frozen=True):
    """A summary, as far as one part of its session takes it."""

    summary: Summary
    runs: int
    """How many more runs of the session it covers than the one before."""
    replaced_runs: int
    """How many of the session's runs were replaced when it was read."""
    is_first: bool
    """It does not go on from an earlier summary."""
    more: bool
    """There are further runs to read."""


class AcceptSummary(Command[str]):
    """Queue an extraction that summarizes a session, or hasten the one that waits.

    Answers its id; empty where nothing is new.
    """

    session_id: str
    extraction_id: str
    request: Request | None = None
    is_planned: bool = False
    """Nobody asked for it: it was planned when a run was stored."""
    _session: Session | None = None
    _has_summary: bool = False

    def needs(self, state: State) -> bool:
        return True

    async def prepare(self, driver: Driver, state: State) -> None:
        rows = await driver.get(state.scope, RowKind.SESSION, (self.session_id,))
        self._session = decode(rows[self.session_id].body, Session) if rows else None
        self._has_summary = bool(await driver.get(state.scope, RowKind.SUMMARY, (self.session_id,)))

    def decide(self, state: State, moment: Moment) -> Decision | None:
        session = state.sessions.get(self.session_id, self._session)
        if (self._session is None or session is None) and self.is_planned:
            # It was planned, and the session is gone by now.
            planned = {self.session_id: 0} if self.session_id in state.core.summarize else {}
            return Decision(RecordKind.ACCEPT, Body(revision=state.revision, summarize=planned)) if planned else None
        if self._session is None or session is None:
            raise NotFound(Reason.SESSION_NOT_FOUND, f"no session {self.session_id}")
        extractions: tuple[Extraction, ...] = ()
        waiting = open_summary(state, self.session_id)
        if waiting is not None:
            is_waiting = waiting.state is ExtractionState.WAITING
            extractions = (hastened(waiting, moment) if is_waiting else waiting,)
        elif session.summarized_through < session.last_index or not self._has_summary:
            # A purge takes a summary away with what was told in it.
            check_room(state)
            extractions = (summary_extraction(state, moment, session, self.extraction_id),)
        planned = {self.session_id: 0} if self.session_id in state.core.summarize else {}
        if not extractions and not planned and self.request is None:
            return None
        body = Body(revision=state.revision, request=self.request, extractions=extractions, summarize=planned)
        return Decision(RecordKind.ACCEPT, body)

    def result(self, recorded: Recorded) -> str:
        return recorded.body.extractions[0].extraction_id if recorded.body.extractions else ""


class StoreSummary(Command[bool]):
    """Store a session's summary under a claim, and settle the extraction that made it unless more is to come.

    Answers whether the claim stood: where it does not, or the extraction was cancelled, nothing is stored.
    """

    claim: Claim
    part: SummarizedPart | None
    """None: there was nothing new."""
    usage: Usage
    _session: Session | None = None

    def needs(self, state: State) -> bool:
        return self.part is not None and self.part.summary.session_id not in state.sessions

    async def prepare(self, driver: Driver, state: State) -> None:
        assert self.part is not None
        session_id = self.part.summary.session_id
        rows = await driver.get(state.scope, RowKind.SESSION, (session_id,))
        self._session = decode(rows[session_id].body, Session) if rows else None

    def decide(self, state: State, moment: Moment) -> Decision | None:
        held = standing(state, self.claim)
        if held is None:
            return None
        session = None
        if self.part is not None:
            session = state.sessions.get(self.part.summary.session_id, self._session)
        is_outdated = self.part is not None and (session is None or session.replaced_runs != self.part.replaced_runs)
        if len(held) < len(self.claim.extraction_ids) or is_outdated:
            # A run was replaced while it was read: what it said must not stay in a summary.
            waiting = tuple(waiting_again(each, moment, counts=False) for each in held)
            return Decision(RecordKind.WAIT, Body(revision=state.revision, extractions=waiting, releases=True))
        more = self.part is not None and self.part.more
        first = structs.replace(held[0], usage=held[0].usage + self.usage)
        settled = first if more else succeeded(first, state, moment, revision=0, change_count=0)
        body = Body(revision=state.revision, extractions=(settled,), releases=not more, summary=SummaryNote())
        if self.part is None or session is None:
            return Decision(RecordKind.SUMMARY, body)
        summary = self.part.summary
        stored = structs.replace(summary, update_time=moment.time, create_time=summary.create_time or moment.time)
        session = structs.replace(
            session,
            summarized_through=stored.covered_through,
            summarized_runs=(0 if self.part.is_first else session.summarized_runs) + self.part.runs,
        )
        note = SummaryNote(stored.session_id, stored.covered_through)
        row = Row(RowKind.SUMMARY, stored.session_id, encode(stored), "", session.last_index)
        return Decision(RecordKind.SUMMARY, structs.replace(body, session=session, summary=note), [row])

    def result(self, recorded: Recorded) -> bool:
        return recorded.body.summary is not None
