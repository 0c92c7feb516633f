"""The queue of extractions, kept in the journals: what can happen to a job, each as one command.

One at a time per user: a claim is a lease on the user. Everything done under a claim is refused once a higher epoch
stands, or the claim has ended: a worker that froze past its lease changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from msgspec.structs import replace

from memsvc.errors import FailedPrecondition, NotFound, Reason
from memsvc.extraction.engine import Operation
from memsvc.extraction.reconcile import Sources, reconcile
from memsvc.journal.draft import Draft, Moment
from memsvc.journal.records import Body, Claim, RequestNote, RunNote, commit_of
from memsvc.journal.state import State
from memsvc.journal.writer import Command, Decision, Recorded
from memsvc.memories.writing import clearable
from memsvc.model import (
    Cause,
    Commit,
    Extraction,
    ExtractionKind,
    ExtractionState,
    Run,
    Usage,
    decode,
    encode,
)
from memsvc.sessions import MAX_JOINED_BYTES
from memsvc.storage.driver import Driver, RecordKind, Row, RowKind


class ClaimLost(Exception):
    """The claim under which a worker acts no longer stands: stop, and leave everything as it is."""


@dataclass(frozen=True, slots=True)
class Limits:
    """When to give up."""

    max_attempts: int = 5
    max_wait_seconds: float = 7 * 24 * 3600.0


@dataclass(slots=True)
class AcceptMessages(Command[str]):
    """Queue an extraction of messages without a session. They are kept as a run of the session "" until learned."""

    run: Run
    size_bytes: int
    extraction_id: str
    note: RequestNote | None = None

    @property
    def request(self) -> RequestNote | None:
        return self.note

    def decide(self, state: State, moment: Moment) -> Decision:
        run = replace(
            self.run,
            session_id="",
            index=state.core.next_index,
            create_time=moment.time,
            extraction_id=self.extraction_id,
        )
        extraction = Extraction(
            extraction_id=self.extraction_id,
            kind=ExtractionKind.MESSAGES,
            next_attempt_time=moment.time,
            run_ids=(run.run_id,),
            agent_id=run.agent_id,
            team_id=run.team_id,
            position=state.tip.seq + 1,
            create_time=moment.time,
            size_bytes=self.size_bytes,
        )
        body = Body(
            revision=state.revision,
            request=self.note,
            run=RunNote("", run.run_id, run.index, run.extraction_id),
            extractions=(extraction,),
        )
        return Decision(RecordKind.RUN, body, [Row(RowKind.RUN, run.run_id, encode(run), "", run.index)])

    def result(self, recorded: Recorded) -> str:
        assert recorded.body.run is not None
        return recorded.body.run.extraction_id


@dataclass(slots=True)
class AcceptRuns(Command[str]):
    """Queue an extraction of runs that are stored, learned from or not."""

    run_ids: tuple[str, ...]
    extraction_id: str
    agent_id: str
    team_id: str
    note: RequestNote | None = None
    _runs: Sequence[Run] = field(default=(), init=False)

    @property
    def request(self) -> RequestNote | None:
        return self.note

    def needs(self, state: State) -> bool:
        return True

    async def prepare(self, driver: Driver, state: State) -> None:
        rows = await driver.get(state.scope, RowKind.RUN, self.run_ids)
        self._runs = [decode(row.body, Run) for row in rows.values()]

    def decide(self, state: State, moment: Moment) -> Decision:
        found = {run.run_id: run for run in self._runs if run.session_id}
        for run_id in self.run_ids:
            if run_id not in found:
                raise NotFound(Reason.RUN_NOT_FOUND, f"no run {run_id}")
        sessions = {run.session_id for run in found.values()}
        if len(sessions) > 1:
            raise FailedPrecondition(Reason.INVALID_FIELD, "runs.run_ids must be of one session")
        extraction = Extraction(
            extraction_id=self.extraction_id,
            kind=ExtractionKind.RUNS,
            next_attempt_time=moment.time,
            session_id=sessions.pop(),
            run_ids=tuple(sorted(found, key=lambda run_id: found[run_id].index)),
            agent_id=self.agent_id or self._runs[-1].agent_id,
            team_id=self.team_id or self._runs[-1].team_id,
            position=state.tip.seq + 1,
            create_time=moment.time,
        )
        rows = []
        for run in found.values():
            if run.extraction_id not in state.core.open:
                run = replace(run, extraction_id=self.extraction_id)
                rows.append(Row(RowKind.RUN, run.run_id, encode(run), run.session_id, run.index))
        body = Body(revision=state.revision, request=self.note, extractions=(extraction,))
        return Decision(RecordKind.SETTLE, body, rows)

    def result(self, recorded: Recorded) -> str:
        return recorded.body.extractions[0].extraction_id


@dataclass(frozen=True, slots=True)
class Claimed:
    """What a worker has claimed."""

    claim: Claim
    extractions: Sequence[Extraction]


@dataclass(slots=True)
class ClaimCommand(Command[Claimed | None]):
    """Claim the user and its oldest due extraction, with those of the same session that are due as well."""

    owner: str
    generation: int
    lease_seconds: float
    limits: Limits
    expired_claim_seq: int = 0
    """The record of a claim that the caller itself saw unrenewed for the lease's length; 0: none."""

    def decide(self, state: State, moment: Moment) -> Decision | None:
        core = state.core
        if core.claim is not None and not self._void(core.claim, core.claim_seq):
            return None
        failed: list[Extraction] = []
        due: list[Extraction] = []
        for extraction in core.open.values():
            if extraction.state is ExtractionState.RUNNING:
                extraction = replace(extraction, state=ExtractionState.WAITING, next_attempt_time=moment.time)
                if extraction.attempt >= self.limits.max_attempts:
                    failed.append(ended(state, extraction, moment, Reason.WORKER_LOST, "its workers died or hung"))
                    continue
            if moment.time - extraction.create_time > self.limits.max_wait_seconds * 1_000_000:
                failed.append(ended(state, extraction, moment, Reason.GAVE_UP, "waited too long"))
            elif extraction.next_attempt_time <= moment.time and _goes_with(due, extraction):
                due.append(extraction)
        started = tuple(
            replace(
                extraction,
                state=ExtractionState.RUNNING,
                attempt=extraction.attempt + 1,
                start_time=moment.time,
                next_attempt_time=0,
            )
            for extraction in due
        )
        if not started:
            if not failed and core.claim is None:
                return None
            body = Body(revision=state.revision, extractions=tuple(failed), releases=core.claim is not None)
            return Decision(RecordKind.SETTLE, body)
        claim = Claim(
            owner=self.owner,
            epoch=core.epoch + 1,
            generation=self.generation,
            extraction_ids=tuple(extraction.extraction_id for extraction in started),
            lease_seconds=self.lease_seconds,
        )
        chosen = {extraction.extraction_id for extraction in (*failed, *started)}
        # Those that an earlier claim left RUNNING and that are not taken now wait again.
        left = tuple(
            replace(extraction, state=ExtractionState.WAITING, next_attempt_time=moment.time)
            for extraction in core.open.values()
            if extraction.state is ExtractionState.RUNNING and extraction.extraction_id not in chosen
        )
        body = Body(revision=state.revision, claim=claim, extractions=(*failed, *left, *started))
        return Decision(RecordKind.CLAIM, body)

    def _void(self, claim: Claim, claim_seq: int) -> bool:
        return claim_seq == self.expired_claim_seq or claim.generation < self.generation

    def result(self, recorded: Recorded) -> Claimed | None:
        claim = recorded.body.claim
        if claim is None:
            return None
        taken = [each for each in recorded.body.extractions if each.extraction_id in claim.extraction_ids]
        return Claimed(claim, taken)


def _goes_with(due: Sequence[Extraction], extraction: Extraction) -> bool:
    if not due:
        return True
    first = due[0]
    size = sum(each.size_bytes for each in due) + extraction.size_bytes
    return (
        bool(extraction.session_id)
        and extraction.session_id == first.session_id
        and extraction.kind is first.kind
        and extraction.attempt == first.attempt == 0
        and size <= MAX_JOINED_BYTES
    )


def ended(state: State, extraction: Extraction, moment: Moment, reason: str, detail: str) -> Extraction:
    """Return the extraction as FAILED."""
    return replace(
        extraction,
        state=ExtractionState.FAILED,
        reason=reason,
        detail=detail,
        next_attempt_time=0,
        end_time=moment.time,
        end_seq=state.tip.seq + 1,
    )


def _standing(state: State, claim: Claim) -> list[Extraction]:
    """Return the extractions that `claim` still holds. Raises ClaimLost when it no longer stands."""
    current = state.core.claim
    if current is None or current.epoch != claim.epoch or current.owner != claim.owner:
        raise ClaimLost
    held = [state.core.open.get(extraction_id) for extraction_id in claim.extraction_ids]
    return [each for each in held if each is not None and each.state is ExtractionState.RUNNING]


@dataclass(slots=True)
class RenewCommand(Command[bool]):
    """Renew a claim; answers whether it still stands and holds all that it held."""

    claim: Claim

    def decide(self, state: State, moment: Moment) -> Decision | None:
        try:
            held = _standing(state, self.claim)
        except ClaimLost:
            return None
        if len(held) < len(self.claim.extraction_ids):
            return None
        assert state.core.claim is not None
        renewed = replace(state.core.claim, renewals=state.core.claim.renewals + 1)
        return Decision(RecordKind.RENEW, Body(revision=state.revision, claim=renewed))

    def result(self, recorded: Recorded) -> bool:
        return recorded.body.claim is not None


@dataclass(slots=True)
class FinishCommand(Command[Commit | None]):
    """Commit what was learned and settle the extractions that it came from, in one record.

    Answers None where the claim no longer stands, or one of its extractions was cancelled: nothing was committed, and
    what is left of the claim waits again.
    """

    claim: Claim
    operations: Sequence[Operation]
    sources: Sources
    usage: Usage
    quota: int

    def decide(self, state: State, moment: Moment) -> Decision | None:
        try:
            held = _standing(state, self.claim)
        except ClaimLost:
            return None
        if len(held) < len(self.claim.extraction_ids):
            waiting = tuple(
                replace(
                    extraction,
                    state=ExtractionState.WAITING,
                    attempt=extraction.attempt - 1,
                    next_attempt_time=moment.time,
                )
                for extraction in held
            )
            return Decision(RecordKind.SETTLE, Body(revision=state.revision, extractions=waiting, releases=True))
        draft = Draft(state, moment, quota=self.quota, cause=Cause.EXTRACTED)
        refused = reconcile(draft, self.operations, self.sources)
        revision = state.revision + 1 if draft.changes else 0
        settled = tuple(
            replace(
                extraction,
                state=ExtractionState.SUCCEEDED,
                reason=Reason.QUOTA_EXCEEDED if refused else "",
                detail=f"{refused} memories did not fit the quota" if refused else "",
                end_time=moment.time,
                end_seq=state.tip.seq + 1,
                revision=revision,
                change_count=len(draft.changes),
                usage=extraction.usage + self.usage if index == 0 else extraction.usage,
            )
            for index, extraction in enumerate(held)
        )
        body = draft.body(extractions=settled, releases=True, extraction_id=held[0].extraction_id)
        return Decision(RecordKind.COMMIT, body)

    def result(self, recorded: Recorded) -> Commit | None:
        return commit_of(recorded.body, recorded.time) if recorded.body.extraction_id else None


@dataclass(slots=True)
class PostponeCommand(Command[None]):
    """End an attempt without effect: its extractions wait again, or fail for good."""

    claim: Claim
    reason: str
    detail: str
    usage: Usage
    delay_seconds: float
    counts: bool
    """Whether the attempt counts against `max_attempts`."""
    fails: bool
    """Whether no retry will help."""
    limits: Limits

    def decide(self, state: State, moment: Moment) -> Decision | None:
        try:
            held = _standing(state, self.claim)
        except ClaimLost:
            return None
        settled = []
        for index, extraction in enumerate(held):
            extraction = replace(
                extraction,
                state=ExtractionState.WAITING,
                reason=self.reason,
                detail=self.detail,
                attempt=extraction.attempt if self.counts else extraction.attempt - 1,
                usage=extraction.usage + self.usage if index == 0 else extraction.usage,
                next_attempt_time=moment.time + int(self.delay_seconds * 1_000_000),
            )
            too_old = moment.time - extraction.create_time > self.limits.max_wait_seconds * 1_000_000
            if self.fails or too_old or extraction.attempt >= self.limits.max_attempts:
                extraction = ended(state, extraction, moment, self.reason, self.detail)
            settled.append(extraction)
        body = Body(revision=state.revision, extractions=tuple(settled), releases=True)
        return Decision(RecordKind.SETTLE, body)

    def result(self, recorded: Recorded) -> None:
        return None


@dataclass(slots=True)
class CancelCommand(Command[Extraction]):
    """Cancel an extraction that has not ended."""

    extraction_id: str
    note: RequestNote | None
    _ended: Extraction | None = field(default=None, init=False)

    @property
    def request(self) -> RequestNote | None:
        return self.note

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
        cancelled = replace(
            extraction,
            state=ExtractionState.CANCELLED,
            reason=Reason.CANCELLED_BY_REQUEST,
            detail="cancelled by request",
            next_attempt_time=0,
            end_time=moment.time,
            end_seq=state.tip.seq + 1,
        )
        claim = state.core.claim
        alone = claim is not None and claim.extraction_ids == (self.extraction_id,)
        body = Body(revision=state.revision, request=self.note, extractions=(cancelled,), releases=alone)
        return Decision(RecordKind.SETTLE, body)

    def result(self, recorded: Recorded) -> Extraction:
        return recorded.body.extractions[0]


@dataclass(slots=True)
class RetryCommand(Command[Sequence[Extraction]]):
    """Make ended extractions wait again, under the same ids."""

    extraction_ids: tuple[str, ...]
    note: RequestNote | None
    _ended: dict[str, Extraction] = field(default_factory=dict, init=False)

    @property
    def request(self) -> RequestNote | None:
        return self.note

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
            again.append(
                replace(
                    extraction,
                    state=ExtractionState.WAITING,
                    reason="",
                    detail="",
                    attempt=0,
                    retries=extraction.retries + 1,
                    next_attempt_time=moment.time,
                    create_time=moment.time,
                    end_time=0,
                )
            )
        body = Body(revision=state.revision, request=self.note, extractions=tuple(again))
        return Decision(RecordKind.SETTLE, body)

    def result(self, recorded: Recorded) -> Sequence[Extraction]:
        return recorded.body.extractions


@dataclass(slots=True)
class HastenCommand(Command[None]):
    """End the quiet period of what waits for one: all of the user's, or one extraction."""

    extraction_id: str = ""

    def decide(self, state: State, moment: Moment) -> Decision | None:
        hastened = tuple(
            replace(extraction, next_attempt_time=moment.time)
            for extraction in state.core.open.values()
            if extraction.state is ExtractionState.WAITING
            and extraction.attempt == 0
            and not extraction.reason
            and extraction.next_attempt_time > moment.time
            and self.extraction_id in ("", extraction.extraction_id)
        )
        if not hastened:
            return None
        return Decision(RecordKind.SETTLE, Body(revision=state.revision, extractions=hastened))

    def result(self, recorded: Recorded) -> None:
        return None


@dataclass(slots=True)
class SweepCommand(Command[bool]):
    """Delete memories that have expired; answers whether some are left for another sweep."""

    def decide(self, state: State, moment: Moment) -> Decision | None:
        if not state.core.first_expiry or state.core.first_expiry > moment.time:
            return None
        expired, more = clearable(
            each for each in state.memories() if each.expire_time and each.expire_time <= moment.time
        )
        draft = Draft(state, moment, quota=0, cause=Cause.EXPIRED)
        for memory in expired:
            draft.delete(memory)
        body = draft.body(sweeps=True, more=more)
        return Decision(RecordKind.COMMIT, body)

    def result(self, recorded: Recorded) -> bool:
        return recorded.body.more
