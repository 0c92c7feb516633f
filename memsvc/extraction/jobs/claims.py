"""Claims: how a worker takes a user's extractions, keeps them, and ends them. Each step is one command.

One at a time per user: a claim is a lease on the user. Everything done under a claim is refused once a higher epoch
stands, or the claim has ended: a worker that froze past its lease changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from memsvc.errors import Reason
from memsvc.extraction.authority import Rights
from memsvc.extraction.engine import Operation
from memsvc.extraction.reconcile import Reconciled, Sources, joined, reconcile
from memsvc.journal.commands import Command, Decision, Recorded
from memsvc.journal.draft import Draft, Moment
from memsvc.journal.lifecycle import (
    explained,
    failed,
    has_waited_since,
    standing,
    started,
    succeeded,
    waiting_again,
)
from memsvc.journal.records import Body, Claim, Reached, commit_of
from memsvc.journal.state import State
from memsvc.model import (
    Cause,
    Commit,
    Extraction,
    ExtractionState,
    Refusal,
    Usage,
)
from memsvc.sessions.commands import MAX_JOINED_BYTES
from memsvc.storage.driver import RecordKind, Row
from memsvc.users.wordings import Wordings

_MOST_GIVEN_UP: Final = 250
"""Of so many a record holds the end; the next claim has the others."""


class Limits(Struct, frozen=True):
    """When to give up."""

    max_attempts: int
    max_wait_seconds: float

    def has_waited_too_long(self, extraction: Extraction, moment: Moment) -> bool:
        """Tell whether an extraction is given up, whatever keeps it from being learned."""
        return moment.now - has_waited_since(extraction) > self.max_wait_seconds * 1_000_000


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
        given_up, due = self._sorted_out(state, moment)
        begun = tuple(started(extraction, moment) for extraction in due)
        if not begun:
            if not given_up and core.claim is None:
                return None
            body = Body(revision=state.revision, extractions=tuple(given_up), releases=core.claim is not None)
            return Decision(RecordKind.SETTLE, body)
        claim = Claim(
            owner=self.owner,
            epoch=core.epoch + 1,
            generation=self.generation,
            extraction_ids=tuple(extraction.extraction_id for extraction in begun),
            lease_seconds=self.lease_seconds,
            lapses=_lapses(self.lease_seconds, moment),
        )
        chosen = {extraction.extraction_id for extraction in (*given_up, *begun)}
        # Those that an earlier claim left RUNNING and that are not taken now wait again.
        left = tuple(
            waiting_again(extraction, moment)
            for extraction in core.open.values()
            if extraction.state is ExtractionState.RUNNING and extraction.extraction_id not in chosen
        )
        body = Body(revision=state.revision, claim=claim, extractions=(*given_up, *left, *begun))
        return Decision(RecordKind.CLAIM, body)

    def _sorted_out(self, state: State, moment: Moment) -> tuple[list[Extraction], list[Extraction]]:
        """Return the extractions that are given up, as FAILED, and those to be worked on together."""
        given_up: list[Extraction] = []
        due: list[Extraction] = []
        for extraction in state.core.open.values():
            if extraction.state is ExtractionState.RUNNING:
                if extraction.attempt >= self.limits.max_attempts:
                    given_up.append(failed(extraction, state, moment, Reason.WORKER_LOST, "its workers died or hung"))
                    continue
                extraction = waiting_again(extraction, moment)
            # One that had no trouble yet was never tried: nobody was there to do it.
            if extraction.reason and self.limits.has_waited_too_long(extraction, moment):
                if len(given_up) < _MOST_GIVEN_UP:
                    given_up.append(failed(extraction, state, moment, Reason.GAVE_UP, "waited too long"))
            elif extraction.next_attempt_time <= moment.now and _goes_with(due, extraction):
                due.append(extraction)
        return given_up, due

    def _void(self, claim: Claim, claim_seq: int) -> bool:
        return claim_seq == self.expired_claim_seq or claim.generation < self.generation

    def result(self, recorded: Recorded) -> Claimed | None:
        claim = recorded.body.claim
        if claim is None:
            return None
        taken = [each for each in recorded.body.extractions if each.extraction_id in claim.extraction_ids]
        return Claimed(claim, taken)


def _lapses(lease_seconds: float, moment: Moment) -> int:
    # By the clock alone: a record's time may be far ahead, where some clock once was.
    return moment.now + int(lease_seconds * 1_000_000)


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
        and extraction.settings_digest == first.settings_digest
        and size <= MAX_JOINED_BYTES
    )


class RenewCommand(Command[bool]):
    """Renew a claim; answers whether it still stands and holds all that it held."""

    claim: Claim

    def decide(self, state: State, moment: Moment) -> Decision | None:
        held = standing(state, self.claim)
        if held is None:
            return None
        if len(held) < len(self.claim.extraction_ids):
            return None
        assert state.core.claim is not None
        claim = state.core.claim
        renewed = replace(claim, renewals=claim.renewals + 1, lapses=_lapses(claim.lease_seconds, moment))
        return Decision(RecordKind.RENEW, Body(revision=state.revision, claim=renewed))

    def result(self, recorded: Recorded) -> bool:
        return recorded.body.claim is not None


class Part(Struct, frozen=True):
    """A commit of what was learned: all of it, or as much as one record takes."""

    commit: Commit
    more: bool
    reconciled: Reconciled


class FinishCommand(Command[Part | None]):
    """Commit what was learned and settle the extractions that it came from, in one record.

    Where it is more than one record takes, the claim is kept and the next command goes on after `before`.
    Answers None where the claim no longer stands, or one of its extractions was cancelled: nothing was committed, and
    what is left of the claim waits again.
    """

    claim: Claim
    operations: Sequence[Operation]
    sources: Sources
    usage: Usage
    quota: int
    rights: Rights = Rights()
    refusals: Sequence[Refusal] = ()
    """What the engine itself did not propose, though it was asked for."""
    before: Reconciled = Reconciled()
    wordings: Wordings | None = None
    """Of the user's memories, as far as they are known."""
    said: Mapping[str, Sequence[Row]] = {}
    """What runs are found by whose SAID rows were owed when this was made."""

    def decide(self, state: State, moment: Moment) -> Decision | None:
        held = standing(state, self.claim)
        if held is None:
            return None
        if len(held) < len(self.claim.extraction_ids):
            waiting = tuple(waiting_again(extraction, moment, counts=False) for extraction in held)
            return Decision(RecordKind.WAIT, Body(revision=state.revision, extractions=waiting, releases=True))
        draft = Draft(state, moment, quota=self.quota, cause=Cause.EXTRACTED)
        reconciled = reconcile(draft, self.operations, self.sources, self.rights, self.before, self.wordings)
        first = held[0]
        if reconciled.next_operation < len(self.operations):
            first = replace(
                first,
                change_count=first.change_count + len(draft.changes),
                refusals=reconciled.refusals,
            )
            return self._decision(draft, reconciled, (first,), more=True)
        refusals = joined(self.refusals, reconciled.refusals)
        settled = tuple(self._settled(extraction, draft, refusals) for extraction in held)
        settled = (replace(settled[0], usage=settled[0].usage + self.usage), *settled[1:])
        return self._decision(draft, reconciled, settled, more=False)

    def _settled(self, extraction: Extraction, draft: Draft, refusals: tuple[Refusal, ...]) -> Extraction:
        return succeeded(
            extraction,
            draft.state,
            draft.moment,
            revision=draft.state.revision + 1 if draft.changes else 0,
            change_count=extraction.change_count + len(draft.changes),
            refusals=refusals,
        )

    def _decision(
        self, draft: Draft, reconciled: Reconciled, extractions: tuple[Extraction, ...], *, more: bool
    ) -> Decision:
        owed = draft.state.owing(self.said)
        body = draft.body(
            extractions=extractions,
            releases=not more,
            extraction_id=self.claim.extraction_ids[0],
            more=more,
            reached=Reached(reconciled.next_operation, reconciled.deletions) if more else None,
            unnamed_deletions=reconciled.unnamed_deletions,
            said_settled=owed,
        )
        # Of a run that went meanwhile nothing is owed any more, nor stored.
        return Decision(RecordKind.COMMIT, body, [row for run_id in owed for row in self.said[run_id]])

    def result(self, recorded: Recorded) -> Part | None:
        body = recorded.body
        if not body.extraction_id:
            return None
        reached = body.reached or Reached()
        reconciled = Reconciled(reached.operations, reached.deletions, body.extractions[0].refusals)
        return Part(commit_of(body, recorded.time), body.more, reconciled)


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
    said: Mapping[str, Sequence[Row]] = {}
    """What runs are found by that are perhaps given up: nobody else stores it."""

    def decide(self, state: State, moment: Moment) -> Decision | None:
        held = standing(state, self.claim)
        if held is None:
            return None
        settled = []
        for index, extraction in enumerate(held):
            extraction = explained(extraction, self.reason, self.detail, self.usage if index == 0 else Usage())
            waiting = waiting_again(extraction, moment, delay_seconds=self.delay_seconds, counts=self.counts)
            too_often = waiting.attempt >= self.limits.max_attempts
            # Without a reason it is only handed back.
            too_long = bool(self.reason) and self.limits.has_waited_too_long(extraction, moment)
            if self.fails or too_often or too_long:
                settled.append(failed(waiting, state, moment, self.reason, self.detail))
            else:
                settled.append(waiting)
        given_up = {run_id for each in settled if each.state.ended for run_id in each.run_ids}
        owed = state.owing(given_up & self.said.keys())
        body = Body(revision=state.revision, extractions=tuple(settled), releases=True, said_settled=owed)
        kind = RecordKind.SETTLE if any(each.state.ended for each in settled) else RecordKind.WAIT
        return Decision(kind, body, [row for run_id in owed for row in self.said[run_id]])

    def result(self, recorded: Recorded) -> None:
        return None
