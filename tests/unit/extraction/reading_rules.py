"""Running the rules engine in tests."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

from memsvc.extraction.engine import Conversation, EngineEvent, Finished, Operation
from memsvc.extraction.rules import RulesEngine
from memsvc.model import Memory, Message, Role, TextPart

ENGINE = RulesEngine()
SAID_AT = int(datetime(2023, 5, 8, 13, 56, tzinfo=UTC).timestamp() * 1_000_000)
"""A Monday."""


def user(text: str, author_id: str = "") -> Message:
    return Message(Role.USER, (TextPart(text),), author_id=author_id, time=SAID_AT)


def assistant(text: str) -> Message:
    return Message(Role.ASSISTANT, (TextPart(text),), time=SAID_AT)


def events(
    messages: Sequence[Message],
    known: Sequence[Memory] = (),
    engine: RulesEngine = ENGINE,
    earlier: Sequence[Message] = (),
) -> list[EngineEvent]:
    async def collect() -> list[EngineEvent]:
        conversation = Conversation(messages, earlier, known)
        return [event async for event in engine.extract(conversation)]

    return asyncio.run(collect())


def learned(
    *said: str | Message,
    known: Sequence[Memory] = (),
    engine: RulesEngine = ENGINE,
    earlier: Sequence[Message] = (),
) -> Sequence[Operation]:
    """Return the operations of a conversation in which a user says `said`, a message each."""
    messages = [each if isinstance(each, Message) else user(each) for each in said]
    finished = events(messages, known, engine, earlier)[-1]
    assert isinstance(finished, Finished)
    return finished.operations


def facts(*said: str | Message, known: Sequence[Memory] = (), earlier: Sequence[Message] = ()) -> list[str]:
    """Return what is learned, in short: `profile.name="Ava"` for keys, the sentence for texts."""
    return [in_short(operation) for operation in learned(*said, known=known, earlier=earlier)]


def in_short(operation: Operation) -> str:
    """Return an operation as tests and the corpus of conversations write it."""
    if operation.action == "clear":
        return "clear"
    if operation.action == "delete":
        return f"delete {operation.key or operation.topic or operation.number}"
    if operation.key and operation.value_json:
        return f"{operation.layer}.{operation.key}={operation.value_json}"
    return operation.text
