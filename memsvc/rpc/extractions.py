"""Extractions and their events, to their messages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from memsvc.extraction.engine import Action, Operation
from memsvc.extraction.jobs.events import (
    Accepted,
    Committed,
    Completed,
    Failed,
    Heartbeat,
    Progress,
    Proposed,
    Refused,
    Retried,
)
from memsvc.extraction.jobs.extractions import Numbered
from memsvc.model import Extraction, ExtractionKind, ExtractionState, Refusal, Scope, Usage
from memsvc.rpc.fields import LAYER_NUMBERS, POLARITY_NUMBERS, TRUST_NUMBERS, inverted, timestamp
from memsvc.rpc.memories import proto_commit
from memsvc.v1 import common_pb2, extraction_pb2, memory_pb2

EXTRACTION_STATES: Final[Mapping[int, ExtractionState]] = {
    extraction_pb2.EXTRACTION_STATE_WAITING: ExtractionState.WAITING,
    extraction_pb2.EXTRACTION_STATE_RUNNING: ExtractionState.RUNNING,
    extraction_pb2.EXTRACTION_STATE_SUCCEEDED: ExtractionState.SUCCEEDED,
    extraction_pb2.EXTRACTION_STATE_FAILED: ExtractionState.FAILED,
    extraction_pb2.EXTRACTION_STATE_CANCELLED: ExtractionState.CANCELLED,
}
_STATE_NUMBERS: Final = inverted(EXTRACTION_STATES)
_KINDS: Final = {
    ExtractionKind.RUNS: extraction_pb2.EXTRACTION_KIND_RUNS,
    ExtractionKind.MESSAGES: extraction_pb2.EXTRACTION_KIND_MESSAGES,
    ExtractionKind.TASK: extraction_pb2.EXTRACTION_KIND_TASK,
    ExtractionKind.SUMMARY: extraction_pb2.EXTRACTION_KIND_SUMMARY,
    ExtractionKind.CONSOLIDATION: extraction_pb2.EXTRACTION_KIND_CONSOLIDATION,
}
_ACTIONS: Final = {
    Action.ADD: memory_pb2.CHANGE_KIND_CREATED,
    Action.UPDATE: memory_pb2.CHANGE_KIND_UPDATED,
    Action.DELETE: memory_pb2.CHANGE_KIND_DELETED,
    Action.CLEAR: memory_pb2.CHANGE_KIND_DELETED,
}
_MOST: Final = 2**31 - 1


def proto_extraction(extraction: Extraction) -> extraction_pb2.Extraction:
    """Return the message for an extraction."""
    waits = extraction.state is ExtractionState.WAITING
    # The messages of an ExtractMemories call, and tasks, are kept as a run that clients do not see.
    run_ids = extraction.run_ids if extraction.kind is ExtractionKind.RUNS else ()
    return extraction_pb2.Extraction(
        extraction_id=extraction.extraction_id,
        kind=_KINDS[extraction.kind],
        state=_STATE_NUMBERS[extraction.state],
        reason=extraction.reason,
        detail=extraction.detail,
        attempt=extraction.attempt,
        next_attempt_time=timestamp(extraction.next_attempt_time) if waits else None,
        session_id=extraction.session_id,
        run_ids=run_ids,
        revision=extraction.revision,
        change_count=extraction.change_count,
        usage=proto_usage(extraction.usage),
        create_time=timestamp(extraction.create_time),
        start_time=timestamp(extraction.start_time),
        end_time=timestamp(extraction.end_time),
        refusals=map(_proto_refusal, extraction.refusals),
        config_revision=extraction.config_revision,
    )


def _proto_refusal(refusal: Refusal) -> extraction_pb2.ExtractionRefused:
    return extraction_pb2.ExtractionRefused(reason=refusal.reason, detail=refusal.detail, operation_count=refusal.count)


def proto_usage(usage: Usage) -> common_pb2.Usage:
    """Return the message for a usage. What passes an int32 is counted no further: endpoints may say anything."""
    return common_pb2.Usage(**{name: min(getattr(usage, name), _MOST) for name in usage.__struct_fields__})


def proto_event(numbered: Numbered, scope: Scope) -> extraction_pb2.ExtractionEvent:
    """Return the message for an event."""
    message = extraction_pb2.ExtractionEvent(resume_token=numbered.resume_token, number=numbered.number)
    event = numbered.event
    if isinstance(event, Accepted):
        message.accepted.extraction.CopyFrom(proto_extraction(event.extraction))
    elif isinstance(event, Progress):
        message.progress.attempt = event.attempt
        message.progress.state = _STATE_NUMBERS[event.state]
        message.progress.reason = event.reason
        message.progress.output_bytes = event.output_bytes
    elif isinstance(event, Proposed):
        message.proposed.CopyFrom(_proto_proposed(event))
    elif isinstance(event, Committed):
        message.committed.commit.CopyFrom(proto_commit(event.commit, scope))
    elif isinstance(event, Failed):
        message.failed.state = _STATE_NUMBERS[event.state]
        message.failed.reason = event.reason
        message.failed.detail = event.detail
    elif isinstance(event, Refused):
        message.refused.CopyFrom(_proto_refusal(event.refusal))
    elif isinstance(event, Retried):
        message.retried.SetInParent()
    elif isinstance(event, Completed):
        message.completed.extraction.CopyFrom(proto_extraction(event.extraction))
    elif isinstance(event, Heartbeat):
        message.heartbeat.SetInParent()
    return message


def _proto_proposed(proposed: Proposed) -> extraction_pb2.ExtractionProposed:
    operation = proposed.operation
    return extraction_pb2.ExtractionProposed(
        attempt=proposed.attempt, kind=_ACTIONS[operation.action], memory=_proto_operation(operation)
    )


def _proto_operation(operation: Operation) -> memory_pb2.Memory:
    """Return as much of the memory as the operation knows."""
    topics = (*operation.topics, operation.topic) if operation.topic else operation.topics
    return memory_pb2.Memory(
        number=operation.number,
        layer=LAYER_NUMBERS[operation.layer],
        text=operation.text,
        key=operation.key,
        value_json=operation.value_json,
        topics=topics,
        input=operation.quote,
        trust=TRUST_NUMBERS[operation.trust],
        polarity=POLARITY_NUMBERS[operation.polarity],
    )
