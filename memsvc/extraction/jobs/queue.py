"""The queue of extractions, kept in the journals: how jobs come in and what callers do to them, each as one command.

What workers do to them is in `claims`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from msgspec import field
from msgspec.structs import replace

from memsvc.errors import FailedPrecondition, NotFound, Reason, invalid
from memsvc.journal.commands import Command, Decision, Recorded
from memsvc.journal.draft import Moment
from memsvc.journal.lifecycle import cancelled, hastened, retried
from memsvc.journal.records import Body, Request, RunNote
from memsvc.journal.state import State
from memsvc.model import (
    Extraction,
    ExtractionKind,
    ExtractionState,
    Run,
    decode,
    encode,
)
from memsvc.sessions.commands import check_room
from memsvc.settings.accepting import NO_TERMS, Terms
from memsvc.storage.driver import Driver, RecordKind, Row, RowKind


class AcceptMessages(Command[str]):
    """Queue an extraction of messages without a session. They are kept as a run of the session "" until learned."""

    run: Run
    size_bytes: int
    extraction_id: str
    request: Request | None = None
    kind: ExtractionKind = ExtractionKind.MESSAGES
    terms: Terms = NO_TERMS

    def decide(self, state: State, moment: Moment) -> Decision:
        check_room(state)
        run = replace(
            self.run,
            session_id="",
            index=state.core.next_index,
            create_time=moment.time,
            extraction_id=self.extraction_id,
        )
        extraction = Extraction(
            extraction_id=self.extraction_id,
            kind=self.kind,
            next_attempt_time=moment.now,
            run_ids=(run.run_id,),
            agent_id=run.agent_id,
            team_id=run.team_id,
            position=state.tip.seq + 1,
            create_time=moment.now,
            size_bytes=self.size_bytes,
        )
        body = Body(
            revision=state.revision,
            request=self.request,
            run=RunNote("", run.run_id, run.index, run.extraction_id),
            extractions=(self.terms.put_on(extraction),),
        )
        return Decision(RecordKind.RUN, body, [Row(RowKind.RUN, run.run_id, encode(run), "", run.index)])

    def result(self, recorded: Recorded) -> str:
        assert recorded.body.run is not None
        return recorded.body.run.extraction_id


class AcceptRuns(Command[str]):
    """Queue an extraction of runs that are stored, learned from or not."""

    run_ids: tuple[str, ...]
    extraction_id: str
    agent_id: str
    team_id: str
    request: Request | None = None
    terms: Terms = NO_TERMS
    _runs: Sequence[Run] = ()

    def needs(self, state: State) -> bool:
        return True

    async def prepare(self, driver: Driver, state: State) -> None:
        rows = await driver.get(state.scope, RowKind.RUN, self.run_ids)
        self._runs = [decode(row.body, Run) for row in rows.values()]

    def decide(self, state: State, moment: Moment) -> Decision:
        check_room(state)
        found = {run.run_id: run for run in self._runs if run.session_id}
        for run_id in self.run_ids:
            if run_id not in found:
                raise NotFound(Reason.RUN_NOT_FOUND, f"no run {run_id}")
        sessions = {run.session_id for run in found.values()}
        if len(sessions) > 1:
            raise invalid("runs.run_ids", "must be of one session")
        newest = max(found.values(), key=lambda run: run.index)
        extraction = Extraction(
            extraction_id=self.extraction_id,
            kind=ExtractionKind.RUNS,
            next_attempt_time=moment.now,
            session_id=sessions.pop(),
            run_ids=tuple(sorted(found, key=lambda run_id: found[run_id].index)),
            agent_id=self.agent_id or newest.agent_id,
            team_id=self.team_id or newest.team_id,
            position=state.tip.seq + 1,
            create_time=moment.now,
            size_bytes=sum(len(encode(run)) for run in found.values()),
        )
        rows = []
        for run in found.values():
            if run.extraction_id not in state.core.open:
                run = replace(run, extraction_id=self.extraction_id, learning=None)
                rows.append(Row(RowKind.RUN, run.run_id, encode(run), run.session_id, run.index))
        body = Body(revision=state.revision, request=self.request, extractions=(self.terms.put_on(extraction),))
        return Decision(RecordKind.ACCEPT, body, rows)

    def result(self, recorded: Recorded) -> str:
        return recorded.body.extractions[0].extraction_id


class CancelCommand(Command[Extraction]):
    """Cancel an extraction that has not ended."""

    extraction_id: str
    request: Request | None
    _ended: Extraction | None = None

    def needs(self, state: State) -> bool:
        return self.extraction_id not in state.core.open

    async def prepare(self, driver: Driver, state: State) -> None:
        rows = await driver.get(state.scope, RowKind.EXTRACTION, (self.extraction_id,))
        self._ended = decode(rows[self.extraction_id].body, Extraction) if rows else None

    def decide(self, state: State, moment: Moment) -> Decision:
        extraction = state.core.open.get(self.extraction_id)
        if extraction is None:
            if self._ended is None:
                raise NotFound(Reason.EXTRACTION_NOT_FOUND, f"no extraction {self.extraction_id}")
            state_name = self._ended.state.upper()
            raise FailedPrecondition(
                Reason.EXTRACTION_ENDED,
                f"extraction {self.extraction_id} has {state_name}",
                metadata={"state": state_name},
            )
        ended = cancelled(extraction, state, moment, Reason.CANCELLED_BY_REQUEST, "cancelled by request")
        releases = state.ends_claim((self.extraction_id,))
        body = Body(revision=state.revision, request=self.request, extractions=(ended,), releases=releases)
        return Decision(RecordKind.SETTLE, body)

    def result(self, recorded: Recorded) -> Extraction:
        return recorded.body.extractions[0]


class RetryCommand(Command[Sequence[Extraction]]):
    """Make ended extractions wait again, under the same ids."""

    extraction_ids: tuple[str, ...]
    request: Request | None
    _ended: dict[str, Extraction] = field(default_factory=dict)

    def needs(self, state: State) -> bool:
        return True

    async def prepare(self, driver: Driver, state: State) -> None:
        rows = await driver.get(state.scope, RowKind.EXTRACTION, self.extraction_ids)
        self._ended = {key: decode(row.body, Extraction) for key, row in rows.items()}

    def decide(self, state: State, moment: Moment) -> Decision:
        again = []
        for extraction_id in self.extraction_ids:
            if extraction_id in state.core.open:
                continue
            extraction = self._ended.get(extraction_id)
            if extraction is None:
                raise NotFound(Reason.EXTRACTION_NOT_FOUND, f"no extraction {extraction_id}")
            if extraction.state is ExtractionState.SUCCEEDED:
                raise FailedPrecondition(Reason.EXTRACTION_ENDED, f"extraction {extraction_id} has SUCCEEDED")
            again.append(retried(extraction, moment))
        body = Body(revision=state.revision, request=self.request, extractions=tuple(again))
        return Decision(RecordKind.WAIT, body)

    def result(self, recorded: Recorded) -> Sequence[Extraction]:
        return recorded.body.extractions


class HastenCommand(Command[None]):
    """Let be tried now what waits for its quiet period, or for what is mended: all of the user's, or one extraction."""

    extraction_id: str = ""
    reasons: Collection[str] = ()
    """What is mended; empty: end quiet periods."""

    def decide(self, state: State, moment: Moment) -> Decision | None:
        due = tuple(
            hastened(extraction, moment)
            for extraction in state.core.open.values()
            if extraction.state is ExtractionState.WAITING
            and self._waits_no_longer(extraction)
            and extraction.next_attempt_time > moment.now
            and self.extraction_id in ("", extraction.extraction_id)
        )
        if not due:
            return None
        return Decision(RecordKind.WAIT, Body(revision=state.revision, extractions=due))

    def _waits_no_longer(self, extraction: Extraction) -> bool:
        if self.reasons:
            return extraction.reason in self.reasons
        return extraction.attempt == 0 and not extraction.reason

    def result(self, recorded: Recorded) -> None:
        return None
