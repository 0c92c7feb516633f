"""What is done to consolidate a user: it is asked for or planned, and it is committed. Each is one command."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from memsvc.consolidation.plan import Operation, carry_out
from memsvc.journal.commands import Command, Decision, Recorded
from memsvc.journal.draft import Draft, Moment
from memsvc.journal.lifecycle import hastened, standing, succeeded, waiting_again
from memsvc.journal.records import Body, Claim, Request
from memsvc.journal.state import State
from memsvc.model import Cause, Extraction, ExtractionKind, ExtractionState, Usage
from memsvc.sessions.commands import check_room
from memsvc.storage.driver import RecordKind


class AcceptConsolidation(Command[str]):
    """Queue a consolidation, or hasten the one that waits; answers its id."""

    extraction_id: str
    request: Request | None = None

    def decide(self, state: State, moment: Moment) -> Decision:
        waiting = next((each for each in state.core.open.values() if each.kind is ExtractionKind.CONSOLIDATION), None)
        if waiting is None:
            check_room(state)
            extraction = Extraction(
                extraction_id=self.extraction_id,
                kind=ExtractionKind.CONSOLIDATION,
                next_attempt_time=moment.now,
                position=state.tip.seq + 1,
                create_time=moment.now,
            )
        else:
            extraction = hastened(waiting, moment) if waiting.state is ExtractionState.WAITING else waiting
        body = Body(revision=state.revision, request=self.request, extractions=(extraction,), consolidate_time=0)
        return Decision(RecordKind.ACCEPT, body)

    def result(self, recorded: Recorded) -> str:
        return recorded.body.extractions[0].extraction_id


class PlanConsolidation(Command[None]):
    """Let the user be consolidated at a time; 0: not by itself."""

    time: int

    def decide(self, state: State, moment: Moment) -> Decision | None:
        if state.core.consolidate_time == self.time:
            return None
        return Decision(RecordKind.WAIT, Body(revision=state.revision, consolidate_time=self.time))

    def result(self, recorded: Recorded) -> None:
        return None


class FinishConsolidation(Command[bool]):
    """Commit a consolidation and settle the extraction that it came from, in one record.

    Answers whether the claim stood: where it does not, or the extraction was cancelled, nothing is committed.
    """

    claim: Claim
    operations: Sequence[Operation]
    usage: Usage

    def decide(self, state: State, moment: Moment) -> Decision | None:
        held = standing(state, self.claim)
        if held is None:
            return None
        if len(held) < len(self.claim.extraction_ids):
            waiting = tuple(waiting_again(each, moment, counts=False) for each in held)
            return Decision(RecordKind.WAIT, Body(revision=state.revision, extractions=waiting, releases=True))
        draft = consolidated(state, moment, self.operations)
        settled = succeeded(
            replace(held[0], usage=held[0].usage + self.usage),
            state,
            moment,
            revision=state.revision + 1 if draft.changes else 0,
            change_count=len(draft.changes),
        )
        body = draft.body(extractions=(settled,), releases=True, extraction_id=settled.extraction_id)
        return Decision(RecordKind.COMMIT, body)

    def result(self, recorded: Recorded) -> bool:
        return bool(recorded.body.extraction_id)


def consolidated(state: State, moment: Moment, operations: Sequence[Operation]) -> Draft:
    """Return the draft of a consolidation of a state."""
    # Nothing is added, so nothing can pass the quota.
    draft = Draft(state, moment, quota=state.memory_count, cause=Cause.CONSOLIDATED)
    carry_out(draft, operations)
    return draft
