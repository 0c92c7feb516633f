"""Messages, runs and sessions, from and to their messages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from memsvc.errors import invalid
from memsvc.limits import MESSAGE_PARTS, RUN_MESSAGES, check_id, check_messages, check_metadata
from memsvc.model import (
    LearningState,
    MediaPart,
    Message,
    Part,
    PlainPart,
    ProviderPart,
    Run,
    Session,
    Summary,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from memsvc.rpc.fields import ROLE_NUMBERS, ROLES, read_enum, read_ids, read_time, timestamp
from memsvc.sessions.searching import Passage
from memsvc.v1 import common_pb2, message_pb2, session_pb2

MAX_CONTEXT_MEMORIES: Final = 1_000
"""How many memories a run may say that its model saw."""

LEARNING_NUMBERS: Final = {
    LearningState.OFF: common_pb2.LEARNING_STATE_OFF,
    LearningState.PENDING: common_pb2.LEARNING_STATE_PENDING,
    LearningState.LEARNED: common_pb2.LEARNING_STATE_LEARNED,
    LearningState.SKIPPED: common_pb2.LEARNING_STATE_SKIPPED,
    LearningState.FAILED: common_pb2.LEARNING_STATE_FAILED,
}


def read_messages(messages: Sequence[message_pb2.Message], path: str) -> tuple[tuple[Message, ...], int]:
    """Return messages and their size in bytes."""
    if len(messages) > RUN_MESSAGES:
        raise invalid(path, f"must be at most {RUN_MESSAGES}")
    read = tuple(read_message(message, f"{path}[{index}]") for index, message in enumerate(messages[:]))
    return read, check_messages(read, path)


def read_message(message: message_pb2.Message, path: str) -> Message:
    """Return a message as it was given, limits not checked yet."""
    return Message(
        role=read_enum(f"{path}.role", message.role, ROLES),
        parts=_read_parts(message.parts, f"{path}.parts"),
        message_id=message.message_id,
        author_id=message.author_id,
        name=message.name,
        time=read_time(f"{path}.time", message.time) if message.HasField("time") else 0,
    )


def _read_parts(parts: Sequence[message_pb2.Part], path: str) -> tuple[Part, ...]:
    # As a list: a field of protobuf ends each walk through it with an exception.
    parts = parts[:]
    count = len(parts) + sum(len(part.tool_result.parts) for part in parts if part.HasField("tool_result"))
    if count > MESSAGE_PARTS:
        raise invalid(path, f"must be at most {MESSAGE_PARTS}")
    return tuple(_read_part(part, f"{path}[{index}]") for index, part in enumerate(parts))


def _read_part(part: message_pb2.Part, path: str) -> Part:
    kind = part.WhichOneof("part")
    if kind == "tool_call":
        call = part.tool_call
        return ToolCallPart(call.id, call.name, call.arguments_json or "{}")
    if kind == "tool_result":
        result = part.tool_result
        answer = (
            _read_plain_part(each, f"{path}.tool_result.parts[{index}]") for index, each in enumerate(result.parts)
        )
        return ToolResultPart(result.call_id, tuple(answer), result.is_error)
    return _read_plain_part(part, path, "text, tool_call, tool_result, media or provider")


def _read_plain_part(part: message_pb2.Part, path: str, allowed: str = "text, media or provider") -> PlainPart:
    kind = part.WhichOneof("part")
    if kind == "text":
        return TextPart(part.text.text)
    if kind == "media":
        return MediaPart(part.media.mime_type, part.media.uri, part.media.caption)
    if kind == "provider":
        return ProviderPart(part.provider.provider, part.provider.json)
    raise invalid(path, f"must be set: {allowed}")


def read_run(run: session_pb2.Run, path: str = "run") -> tuple[Run, int]:
    """Return a run as it was given, and the size of its messages in bytes; output-only fields are ignored."""
    check_id(f"{path}.session_id", run.session_id)
    for name in ("run_id", "agent_id", "team_id", "replaces_run_id"):
        check_id(f"{path}.{name}", getattr(run, name), required=False)
    if run.run_id and run.run_id == run.replaces_run_id:
        raise invalid(f"{path}.replaces_run_id", "must be another run")
    check_metadata(f"{path}.metadata", run.metadata)
    messages, size = read_messages(run.messages, f"{path}.messages")
    read = Run(
        session_id=run.session_id,
        run_id=run.run_id,
        index=0,
        messages=messages,
        agent_id=run.agent_id,
        team_id=run.team_id,
        replaces_run_id=run.replaces_run_id,
        context_memory_ids=read_ids(f"{path}.context_memory_ids", run.context_memory_ids, MAX_CONTEXT_MEMORIES),
        metadata=dict(run.metadata) if run.metadata else {},
    )
    return read, size


def proto_message(message: Message) -> message_pb2.Message:
    """Return the message for a message of a conversation."""
    return message_pb2.Message(
        message_id=message.message_id,
        role=ROLE_NUMBERS[message.role],
        author_id=message.author_id,
        name=message.name,
        time=timestamp(message.time),
        parts=[_proto_part(part) for part in message.parts],
    )


def _proto_part(part: Part) -> message_pb2.Part:
    if isinstance(part, TextPart):
        return message_pb2.Part(text=message_pb2.TextPart(text=part.text))
    if isinstance(part, ToolCallPart):
        call = message_pb2.ToolCallPart(id=part.call_id, name=part.name, arguments_json=part.arguments_json)
        return message_pb2.Part(tool_call=call)
    if isinstance(part, ToolResultPart):
        answer = [_proto_part(each) for each in part.parts]
        result = message_pb2.ToolResultPart(call_id=part.call_id, parts=answer, is_error=part.is_error)
        return message_pb2.Part(tool_result=result)
    if isinstance(part, MediaPart):
        media = message_pb2.MediaPart(mime_type=part.mime_type, uri=part.uri, caption=part.caption)
        return message_pb2.Part(media=media)
    return message_pb2.Part(provider=message_pb2.ProviderPart(provider=part.provider, json=part.json))


def proto_run(run: Run, learning: LearningState) -> session_pb2.Run:
    """Return the message for a run."""
    return session_pb2.Run(
        session_id=run.session_id,
        run_id=run.run_id,
        index=run.index,
        messages=[proto_message(message) for message in run.messages],
        agent_id=run.agent_id,
        team_id=run.team_id,
        create_time=timestamp(run.create_time),
        replaces_run_id=run.replaces_run_id,
        replaced=run.replaced,
        learning=LEARNING_NUMBERS[learning],
        extraction_id=run.extraction_id,
        context_memory_ids=run.context_memory_ids,
        metadata=run.metadata,
        observed_number=run.observed_number,
    )


def proto_session(session: Session) -> session_pb2.Session:
    """Return the message for a session."""
    return session_pb2.Session(
        session_id=session.session_id,
        run_count=session.run_count,
        message_count=session.message_count,
        agent_id=session.agent_id,
        team_id=session.team_id,
        create_time=timestamp(session.create_time),
        update_time=timestamp(session.update_time),
    )


def proto_passage(passage: Passage) -> session_pb2.HistoryPassage:
    """Return a passage's message."""
    run = passage.run
    return session_pb2.HistoryPassage(
        session_id=run.session_id,
        run_id=run.run_id,
        run_index=run.index,
        agent_id=run.agent_id,
        message=proto_message(passage.message),
        score=passage.score,
        before=[proto_message(message) for message in passage.before],
        after=[proto_message(message) for message in passage.after],
    )


def proto_summary(summary: Summary | None) -> session_pb2.SessionSummary | None:
    """Return the message for a summary, if there is one."""
    if summary is None:
        return None
    return session_pb2.SessionSummary(
        session_id=summary.session_id,
        text=summary.text,
        topics=summary.topics,
        covered_through=summary.covered_through,
        extractive=summary.extractive,
        model=summary.model,
        extraction_id=summary.extraction_id,
        create_time=timestamp(summary.create_time),
        update_time=timestamp(summary.update_time),
    )
