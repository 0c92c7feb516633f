from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field

from memsvc.errors import Error
from memsvc.extraction.engine import Action, Conversation, EngineEvent, Finished, Operation, Proposal
from memsvc.extraction.jobs.extractions import Extractions
from memsvc.extraction.jobs.worker import Worker
from memsvc.ids import new_id
from memsvc.model import LearningMode, Message, Role, Run, Scope, TextPart, Usage
from memsvc.sessions import AppendRunCommand, Quiet, RunReceipt, Sessions
from memsvc.storage.driver import Driver
from memsvc.users import Users
from memsvc.writing.writer import Writer

SARAH = Scope("default", "sarah")


@dataclass
class Parrot:
    """An engine that learns each user message as it is, and can be held, or made to fail."""

    name: str = "parrot"
    concurrency: int = 100
    calls: list[Conversation] = field(default_factory=list)
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    reading: asyncio.Event = field(default_factory=asyncio.Event)
    failures: list[Error] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.gate.set()

    async def extract(self, conversation: Conversation) -> AsyncGenerator[EngineEvent, None]:
        self.calls.append(conversation)
        self.reading.set()
        await self.gate.wait()
        if self.failures:
            raise self.failures.pop(0)
        operations = [
            Operation(action=Action.ADD, text=message.text, quote=message.text, message_index=index)
            for index, message in enumerate(conversation.messages)
            if message.role is Role.USER
        ]
        for operation in operations:
            yield Proposal(operation)
        yield Finished(operations, Usage(calls=1, input_tokens=10, output_tokens=5), "parrot-1")

    async def close(self) -> None:
        return None


@dataclass
class Replica:
    """One memsvc process, as far as learning goes."""

    driver: Driver
    engine: Parrot
    users: Users
    writer: Writer
    sessions: Sessions
    extractions: Extractions
    worker: Worker

    async def say(self, text: str, session_id: str = "s1", quiet: float = 0.0) -> RunReceipt:
        run = Run(
            session_id=session_id,
            run_id=new_id(),
            index=0,
            messages=(Message(Role.USER, (TextPart(text),)),),
        )
        command = AppendRunCommand(run, len(text), LearningMode.AUTOMATIC, Quiet(quiet, quiet), new_id())
        return await self.sessions.append(SARAH, command)

    async def texts(self) -> list[str]:
        return sorted(memory.text for memory in (await self.users.latest(SARAH)).memories())


MakeReplica = Callable[..., Replica]
