"""An extraction, the durable job of learning, and what is seen of it while it runs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from memsvc.v1 import extraction_pb2
from memsvc_client.enums import ChangeKind, ExtractionKind, ExtractionState
from memsvc_client.errors import ExtractionFailed
from memsvc_client.memory import Commit, Memory, commit_of, memory_of
from memsvc_client.shown import Shown
from memsvc_client.usage import Usage, usage_of
from memsvc_client.wire import enum_member, time_of


@dataclass(frozen=True, slots=True, repr=False)
class Extraction(Shown):
    """A durable job of learning."""

    extraction_id: str
    kind: ExtractionKind
    state: ExtractionState
    reason: str
    """Why it waits, failed or was cancelled, a value of `Reason`; empty: no special reason."""
    detail: str
    attempt: int
    next_attempt_time: datetime | None
    session_id: str
    run_ids: tuple[str, ...]
    revision: int
    """The commit that it made; 0: none, or there was nothing to learn."""
    change_count: int
    usage: Usage
    create_time: datetime | None
    start_time: datetime | None
    end_time: datetime | None


@dataclass(frozen=True, slots=True, repr=False)
class Accepted(Shown):
    """The job is durable."""

    extraction: Extraction
    number: int
    """From 1 over the events that are stored, without gaps: none is lost or seen twice; a retry goes on counting."""
    resume_token: str
    """`extractions.watch` goes on after this event."""


@dataclass(frozen=True, slots=True, repr=False)
class Progress(Shown):
    """A sign of work: a live hint."""

    attempt: int
    state: ExtractionState
    reason: str
    output_bytes: int


@dataclass(frozen=True, slots=True, repr=False)
class Proposed(Shown):
    """A change that the engine proposes: a live hint, void once an event of a higher attempt comes."""

    attempt: int
    kind: ChangeKind
    memory: Memory


@dataclass(frozen=True, slots=True, repr=False)
class Committed(Shown):
    """What was learned is committed; revision 0 and no changes where there was nothing to learn."""

    commit: Commit
    number: int
    resume_token: str


@dataclass(frozen=True, slots=True, repr=False)
class Failed(Shown):
    """The extraction ended without effect."""

    state: ExtractionState
    """FAILED or CANCELLED."""
    reason: str
    detail: str
    number: int
    resume_token: str


@dataclass(frozen=True, slots=True, repr=False)
class Refused(Shown):
    """Something that the conversation asked for, or the engine proposed, is not done."""

    reason: str
    detail: str
    operation_count: int
    """How many operations it is about."""
    number: int
    resume_token: str


@dataclass(frozen=True, slots=True, repr=False)
class Retried(Shown):
    """The extraction had ended and was made to wait again."""

    number: int
    resume_token: str


@dataclass(frozen=True, slots=True, repr=False)
class Completed(Shown):
    """The extraction ended: the last event."""

    extraction: Extraction
    number: int
    resume_token: str


ExtractionEvent: TypeAlias = Accepted | Progress | Proposed | Refused | Committed | Failed | Retried | Completed


def extraction_of(wire: extraction_pb2.Extraction) -> Extraction:
    """Read one extraction."""
    return Extraction(
        extraction_id=wire.extraction_id,
        kind=enum_member(ExtractionKind, wire.kind),
        state=enum_member(ExtractionState, wire.state),
        reason=wire.reason,
        detail=wire.detail,
        attempt=wire.attempt,
        next_attempt_time=time_of(wire, "next_attempt_time"),
        session_id=wire.session_id,
        run_ids=tuple(wire.run_ids),
        revision=wire.revision,
        change_count=wire.change_count,
        usage=usage_of(wire.usage),
        create_time=time_of(wire, "create_time"),
        start_time=time_of(wire, "start_time"),
        end_time=time_of(wire, "end_time"),
    )


def event_of(wire: extraction_pb2.ExtractionEvent) -> ExtractionEvent | None:
    """Read one event; None for a heartbeat, and for what this client does not know yet."""
    number, token = wire.number, wire.resume_token
    match wire.WhichOneof("event"):
        case "accepted":
            return Accepted(extraction_of(wire.accepted.extraction), number, token)
        case "progress":
            hint = wire.progress
            return Progress(hint.attempt, enum_member(ExtractionState, hint.state), hint.reason, hint.output_bytes)
        case "proposed":
            proposed = wire.proposed
            return Proposed(proposed.attempt, enum_member(ChangeKind, proposed.kind), memory_of(proposed.memory))
        case "committed":
            return Committed(commit_of(wire.committed.commit), number, token)
        case "failed":
            failed = wire.failed
            return Failed(enum_member(ExtractionState, failed.state), failed.reason, failed.detail, number, token)
        case "refused":
            refused = wire.refused
            return Refused(refused.reason, refused.detail, refused.operation_count, number, token)
        case "retried":
            return Retried(number, token)
        case "completed":
            return Completed(extraction_of(wire.completed.extraction), number, token)
        case _:
            return None


def commit_from(events: Iterable[ExtractionEvent]) -> Commit:
    """Return what the events of a whole extraction say was learned. Raises ExtractionFailed."""
    commit, extraction_id = Commit(revision=0), ""
    failure: ExtractionFailed | None = None
    for event in events:
        match event:
            case Accepted(extraction=extraction) | Completed(extraction=extraction):
                extraction_id = extraction.extraction_id
            case Committed():
                commit = event.commit
            case Failed(state=state, reason=reason, detail=detail):
                failure = ExtractionFailed(
                    message=detail or f"extraction {extraction_id} is {state}",
                    reason=reason,
                    extraction_id=extraction_id,
                    state=state,
                )
            case Retried():
                failure = None
    if failure is not None:
        raise failure
    return commit
