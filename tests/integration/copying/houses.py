"""Stores that were lived in, and everything that is in one."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from memsvc.application import build_application
from memsvc.config import Config
from memsvc.copying import Comparison, Copied, Progress, Role, Side, compare, copy
from memsvc.extraction.engines import build_engine
from memsvc.meaning import Meaning
from memsvc.model import Scope
from memsvc.rpc.listeners import serving
from memsvc.search.embedders.static import StaticEmbedder
from memsvc.storage.conformance.items import Journal, state
from memsvc.storage.driver import Driver, PageOf, Record, Row, RowKey, RowKind, Tip, TruncatedJournal
from memsvc.users import Users
from memsvc.writing.writer import Writer
from memsvc_client import AsyncMemoryClient, update

SARAH, ERIN, GHOST = "sarah", "erin/\u00e9{}%:.$", "ghost"
SETTINGS = Scope("default", "")
REPEATED = "0b6f0f5e-5d0c-4a57-9d0c-2f4f3c1b7a11"
FAR = 1 << 62


@asynccontextmanager
async def served(driver: Driver, *, working: bool = True) -> AsyncIterator[AsyncMemoryClient]:
    """Serve an open store with the rules engine; yield a client. Not `working`, nothing is learned."""
    engine = build_engine(Config(engine="rules"))
    settings = Config(quiet_seconds=0.0, max_quiet_seconds=0.0, poll_seconds=0.02, retry_seconds=0.01)
    application = build_application(driver, engine, settings)
    if working:
        application.worker.start()
    try:
        with tempfile.TemporaryDirectory(prefix="memsvc") as folder:
            address = f"unix://{folder}/s"
            async with serving(application, [address]), AsyncMemoryClient(address) as client:
                yield client
    finally:
        await application.worker.stop()
        await application.writer.close()
        await engine.close()


@dataclass(slots=True)
class House:
    """What whoever lived there knows of it."""

    memory_id: str = ""
    unfinished_id: str = ""
    """An extraction that nobody has begun."""
    context: str = ""
    history: list[Any] = field(default_factory=list)


async def live_in(driver: Driver) -> House:
    """Fill an open store with everything that a store can hold."""
    house = House()
    async with served(driver) as client:
        sarah = client.user(SARAH, agent_id="support")
        house.memory_id = await sarah.memories.add("Skis at Tahoe", topics=["hobbies"], request_id=REPEATED)
        await sarah.append_run("s1", [("user", "I'm Sarah, a data scientist"), ("assistant", "Hello!")], wait=20)
        await sarah.append_run("s2", [("user", "I love sushi!")], wait=20)
        await sarah.learn([("user", "I live in Rome")])
        await sarah.learn([("user", "I live in Oslo")])
        await sarah.summarize("s1")
        gone = await sarah.memories.add("Was once in Rome")
        await sarah.memories.delete(gone, purge=True)
        erin = client.user(ERIN)
        ids = [await erin.memories.add(f"Fact {number} 日本 🙂 \u00e9") for number in range(8)]
        await erin.memories.batch([update(memory_id, text=f"{memory_id} again") for memory_id in ids])
        await client.user(ERIN).learn("I love tea!")
        ghost = client.user(GHOST)
        await ghost.append_run("s1", [("user", "My name is Ghost")], request_id=REPEATED)
        await ghost.erase()
        house.history = list(await sarah.history("s1"))
    await driver.truncate(Scope("default", ERIN), 5)
    async with served(driver, working=False) as client:
        sarah = client.user(SARAH, agent_id="support")
        receipt = await sarah.append_run("s2", [("user", "I live in Berlin")])
        house.unfinished_id = receipt.extraction_id
        house.context = (await sarah.context()).text
    await embed(driver, Scope("default", SARAH))
    journal = Journal(driver, SETTINGS)
    await journal.append([b"{}", b'{"revision":1}'], puts=[state(1)])
    return house


async def embed(driver: Driver, scope: Scope) -> None:
    """Make the user's vectors."""
    users = Users(driver)
    writer = Writer(users)
    await Meaning(users, writer, StaticEmbedder()).serve(scope)
    await writer.close()


@dataclass(slots=True)
class Contents:
    """Everything that a driver says of a user."""

    tip: Tip
    rows: dict[RowKey, Row]
    runs: list[Row]
    records: list[Record]
    due: int
    listed: bool


async def contents(driver: Driver) -> dict[Scope, Contents]:
    """Return everything that is in a store."""
    found: dict[Scope, Contents] = {}
    due = {each.scope: each.time for each in await driver.due(FAR, 100_000)}
    for scope in await driver.scopes(None, 100_000):
        loaded = await driver.load(scope, tuple(RowKind))
        try:
            records = await driver.records(scope, 0, 100_000)
        except TruncatedJournal as truncated:
            records = await driver.records(scope, truncated.first - 1, 100_000)
        found[scope] = Contents(
            tip=loaded.tip,
            rows={RowKey(row.kind, row.row_id): row for row in loaded.rows},
            runs=list(await driver.rows(PageOf(scope, RowKind.RUN, limit=100_000))),
            records=list(records),
            due=due.get(scope, 0),
            listed=scope.user_id in await driver.users(scope.namespace, "", 100_000),
        )
    return found


def sides(source: Driver, destination: Driver) -> tuple[Side, Side]:
    return Side(Role.SOURCE, source), Side(Role.DESTINATION, destination)


async def copied(source: Driver, destination: Driver, *, concurrency: int = 4) -> Copied:
    """Copy between open stores."""
    return await copy(*sides(source, destination), Progress(), concurrency=concurrency)


async def compared(source: Driver, destination: Driver) -> Comparison:
    """Compare open stores."""
    comparison = Comparison()
    await compare(*sides(source, destination), comparison, concurrency=4)
    return comparison


async def grow(driver: Driver, scope: Scope, *, records: int = 1, size_bytes: int = 2) -> Journal:
    """Give a user that many more records, with a STATE row, a run each and a memory."""
    (tip,) = await driver.tips([scope])
    journal = Journal(driver, scope, tip)
    for _ in range(records):
        seq = journal.tip.seq + 1
        run = Row(RowKind.RUN, f"run-{seq}", b'"%s"' % (b"x" * size_bytes), group="s1", position=seq)
        memory = Row(RowKind.MEMORY, f"memory-{seq}", b'{"text":"%d"}' % seq)
        await journal.append([b"y" * size_bytes], puts=[run, memory, state(seq)])
    return journal
