"""Running the rules engine in tests."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from memsvc.extraction.engine import Conversation, EngineEvent, Finished, Operation
from memsvc.extraction.rules import RulesEngine
from memsvc.model import Memory, Message, Role, TextPart

ENGINE = RulesEngine()


def user(text: str) -> Message:
    return Message(Role.USER, (TextPart(text),))


def events(
    messages: Sequence[Message], known: Sequence[Memory] = (), engine: RulesEngine = ENGINE
) -> list[EngineEvent]:
    async def collect() -> list[EngineEvent]:
        return [event async for event in engine.extract(Conversation(messages, known=known))]

    return asyncio.run(collect())


def learned(*texts: str, known: Sequence[Memory] = (), engine: RulesEngine = ENGINE) -> Sequence[Operation]:
    """Return the operations of a conversation in which a user says `texts`, a message each."""
    finished = events([user(text) for text in texts], known, engine)[-1]
    assert isinstance(finished, Finished)
    return finished.operations


def facts(*texts: str, known: Sequence[Memory] = ()) -> list[str]:
    """Return what is learned, in short: `profile.name="Ava"` for keys, the sentence for texts."""
    return [
        f"{operation.layer}.{operation.key}={operation.value_json}"
        if operation.key and operation.value_json
        else f"{operation.action} {operation.key or operation.topic or operation.number}"
        if operation.action == "delete"
        else operation.text
        for operation in learned(*texts, known=known)
    ]
