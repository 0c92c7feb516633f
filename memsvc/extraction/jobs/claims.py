"""Claims: how a worker takes a user's extractions, keeps them, and ends them. Each step is one command.

One at a time per user: a claim is a lease on the user. Everything done under a claim is refused once a higher epoch
stands, or the claim has ended: a worker that froze past its lease changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from memsvc.errors import Reason
from memsvc.extraction.engine import Operation
from memsvc.extraction.reconcile import Sources, reconcile
from memsvc.journal.commands import Command, Decision, Recorded
from memsvc.journal.draft import Draft, Moment
from memsvc.journal.records import Body, Claim, commit_of
from memsvc.journal.state import State
from memsvc.model import (
    Cause,
    Commit,
    Extraction,
    ExtractionState,
    Usage,
)
from memsvc.sessions import MAX_JOINED_BYTES
from memsvc.storage.driver import RecordKind

_MOST_GIVEN_UP: Final = 250
"""Of so many a record holds the end; the next claim has the others."""


class ClaimLost(Exception):
    """The claim under which a worker acts no longer stands: stop, and leave everything as it is."""


class Limits(Struct, frozen=True):
    """When to give up."""

    max_attempts: int = 5
    max_wait_seconds: float = 7 * 24 * 3600.0


class Claimed(Struct, frozen=True):
    """What a worker has claimed."""

    claim: Claim
    extractions: Sequence[Extraction]


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
                extraction = replace(extraction, state=ExtractionState.WAITING, next_attempt_time=moment.now)
                if extraction.attempt >= self.limits.max_attempts:
                    failed.append(ended(state, extraction, moment, Reason.WORKER_LOST, "its workers died or hung"))
                    continue
            if moment.now - extraction.create_time > self.limits.max_wait_seconds * 1_000_000:
                if len(failed) < _MOST_GIVEN_UP:
                    failed.append(ended(state, extraction, moment, Reason.GAVE_UP, "waited too long"))
            elif extraction.next_attempt_time <= moment.now and _goes_with(due, extraction):
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
            replace(extraction, state=ExtractionState.WAITING, next_attempt_time=moment.now)
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
                    next_attempt_time=moment.now,
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
                next_attempt_time=moment.now + int(self.delay_seconds * 1_000_000),
            )
            too_old = moment.now - extraction.create_time > self.limits.max_wait_seconds * 1_000_000
            if self.fails or too_old or extraction.attempt >= self.limits.max_attempts:
                extraction = ended(state, extraction, moment, self.reason, self.detail)
            settled.append(extraction)
        body = Body(revision=state.revision, extractions=tuple(settled), releases=True)
        return Decision(RecordKind.SETTLE, body)

    def result(self, recorded: Recorded) -> None:
        return None
