"""Replicas of memsvc within the tests' process: applications of their own on one database, each with its own clock."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from memsvc.application import Application, build_application
from memsvc.clock import now_micros
from memsvc.config import Config
from memsvc.errors import StorageUnavailable
from memsvc.extraction.engine import Action, Conversation, EngineEvent, Finished, Operation
from memsvc.ids import new_id
from memsvc.memories.writing import Create, Guard
from memsvc.model import Commit, Extraction, LearningMode, Memory, Message, Role, Run, Scope, TextPart, Usage
from memsvc.sessions import AppendRunCommand, Quiet
from memsvc.storage.conformance import Place
from memsvc.storage.driver import Driver

Meanwhile = Callable[[], Awaitable[object]]

LEASE_SECONDS = 1.0
_ANSWER_SECONDS = 30.0


@dataclass
class Rota:
    """Who is learned from at the moment, over all replicas: a text begins with its user's id."""

    running: Counter[str] = field(default_factory=Counter)
    overlaps: list[str] = field(default_factory=list)
    reads: int = 0


@dataclass
class Parrot:
    """An engine that learns each user message as it is, and takes a moment to."""

    rota: Rota
    name: str = "parrot"
    concurrency: int = 100
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    reading: asyncio.Event = field(default_factory=asyncio.Event)

    async def extract(self, conversation: Conversation) -> AsyncGenerator[EngineEvent, None]:
        texts = [message.text for message in conversation.messages if message.role is Role.USER]
        user_id = texts[0].partition(" ")[0]
        self.rota.reads += 1
        if self.rota.running[user_id]:
            self.rota.overlaps.append(user_id)
        self.rota.running[user_id] += 1
        self.reading.set()
        try:
            await self.gate.wait()
            await asyncio.sleep(0.005)
        finally:
            self.rota.running[user_id] -= 1
        learned = [Operation(action=Action.ADD, text=text, quote=text, message_index=n) for n, text in enumerate(texts)]
        yield Finished(learned, Usage(calls=1), "parrot-1")

    async def close(self) -> None:
        return None


class _Deaf:
    """A driver whose every notification is lost."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver

    def __getattr__(self, name: str) -> Any:
        return getattr(self._driver, name)

    async def hints(self) -> AsyncIterator[Scope | None]:
        await asyncio.Event().wait()
        yield None


class HeldDriver:
    """A driver of which one call is held while something else happens: before it is asked, or before it is answered."""

    def __init__(self, driver: Any) -> None:
        self._driver = driver
        self._before: dict[str, tuple[int, Meanwhile]] = {}
        self._after: dict[str, tuple[int, Meanwhile]] = {}

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._driver, name)
        if not asyncio.iscoroutinefunction(attribute):
            return attribute

        async def held(*args: Any, **options: Any) -> Any:
            await self._pass(self._before, name)
            answer = await attribute(*args, **options)
            await self._pass(self._after, name)
            return answer

        return held

    def before(self, name: str, meanwhile: Meanwhile, call: int = 1) -> None:
        """Let something happen before the so manieth call from now on is asked."""
        self._before[name] = call, meanwhile

    def after(self, name: str, meanwhile: Meanwhile, call: int = 1) -> None:
        """Let something happen after the so manieth call from now on was asked, and before it is answered."""
        self._after[name] = call, meanwhile

    def let_pass(self) -> None:
        """Hold no call after all."""
        self._before.clear()
        self._after.clear()

    async def _pass(self, held: dict[str, tuple[int, Meanwhile]], name: str) -> None:
        if name not in held:
            return
        call, meanwhile = held.pop(name)
        if call > 1:
            held[name] = call - 1, meanwhile
        else:
            await meanwhile()


@dataclass
class Replica:
    """One of those who share the database."""

    app: Application
    engine: Parrot
    driver: HeldDriver
    namespace: str = "default"

    def scope(self, user_id: str) -> Scope:
        return Scope(self.namespace, user_id)

    async def add(self, user_id: str, text: str) -> Commit:
        """Write a memory."""
        memory = Memory(memory_id=new_id(), number=0, text=text)
        return await self.app.memory_writer.write(self.scope(user_id), [Create(memory)], Guard())

    async def texts(self, user_id: str) -> list[str]:
        """Return what is remembered, as of now, in the order it was written."""
        hot = await self.app.users.read(self.scope(user_id))
        return [memory.text for memory in hot.memories()]

    async def say(self, user_id: str, word: str) -> str:
        """Append a run of a session of its own, however often that takes; return the id of its extraction."""
        text = f"{user_id} likes {word}"
        run = Run(session_id=new_id(), run_id=new_id(), index=0, messages=(Message(Role.USER, (TextPart(text),)),))
        command = AppendRunCommand(run, len(text), LearningMode.AUTOMATIC, Quiet(0.0, 0.0), new_id())
        while True:
            with contextlib.suppress(StorageUnavailable):
                return (await self.app.sessions.append(self.scope(user_id), command)).extraction_id

    async def ended(self, user_id: str, extraction_id: str) -> Extraction:
        """Wait for the end of an extraction."""
        extraction, _ = await self.app.extractions.wait(self.scope(user_id), extraction_id, _ANSWER_SECONDS)
        return extraction


@asynccontextmanager
async def replica(
    place: Place, rota: Rota, *, clock_ahead_seconds: int = 0, deaf: bool = False, **settings: Any
) -> AsyncIterator[Replica]:
    """Run a replica; `deaf`: no notification of the database reaches it."""
    async with place.opened() as opened:
        engine = Parrot(rota)
        engine.gate.set()
        held = HeldDriver(_Deaf(opened) if deaf else opened)
        driver: Any = held
        chosen = Config(**{"lease_seconds": LEASE_SECONDS, "poll_seconds": 0.2, "retry_seconds": 0.01, **settings})
        app = build_application(driver, engine, chosen)
        app.users.clock = lambda: now_micros() + clock_ahead_seconds * 1_000_000
        following = asyncio.create_task(app.users.follow())
        app.worker.start()
        try:
            yield Replica(app, engine, held)
        finally:
            engine.gate.set()
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
            await app.worker.stop()
            await app.writer.close()
