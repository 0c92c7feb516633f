"""The sweep takes away the same on every driver, and leaves the same."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import Any

from memsvc.clock import now_micros
from memsvc.configuration import GivenRetention, GivenSettings
from memsvc.ids import new_id
from memsvc.memories.writing import Create, Guard, WriteCommand
from memsvc.model import LearningMode, Memory, Message, Role, Run, Scope, Session, TextPart, decode
from memsvc.retention import Retention
from memsvc.sessions import AppendRunCommand, Quiet
from memsvc.settings import SettingsReader
from memsvc.settings.updating import ConfigWriter, UpdateConfig
from memsvc.storage.conformance import Place
from memsvc.storage.driver import Driver, PageOf, RowKind, TruncatedJournal
from memsvc.storage.registry import connect
from memsvc.users import Users
from memsvc.writing.writer import Writer

SARAH = Scope("kept", "sarah")
DAY = 86_400
OLD, NEW = 20, 3


async def test_the_sweep_takes_away_the_same_on_every_driver(fresh_stores: Mapping[str, Place]) -> None:
    async with AsyncExitStack() as stack:
        drivers = [connect(place.url, place.options) for place in fresh_stores.values()]
        for driver in drivers:
            await driver.open()
            stack.push_async_callback(driver.close)
        left = await asyncio.gather(*(swept(driver) for driver in drivers))
    expected = {"runs": NEW, "sessions": {"new": (NEW, NEW)}, "memories": OLD + NEW, "first": 2 * OLD + 1}
    assert dict(zip(fresh_stores, left, strict=True)) == dict.fromkeys(fresh_stores, expected)


async def swept(driver: Driver) -> Any:
    """Store what is old, and what is new; sweep; return what is left."""
    users = Users(driver)
    writer, reader = Writer(users), SettingsReader(users)
    await say(users, writer, "old", OLD)
    users.clock = lambda: now_micros() + 10 * DAY * 1_000_000
    await say(users, writer, "new", NEW)
    kept = GivenRetention(run_seconds=5.0 * DAY, history_seconds=5.0 * DAY)
    await ConfigWriter(users, writer).update("kept", UpdateConfig("", GivenSettings(retention=kept), None))
    retention = Retention(users, writer, reader)
    await retention.serve(Scope("kept", ""))
    # Another one finds nothing to do.
    await retention.serve(Scope("kept", ""))
    runs = await driver.rows(PageOf(SARAH, RowKind.RUN, limit=100))
    said = await driver.rows(PageOf(SARAH, RowKind.SAID, limit=100))
    sessions = [decode(row.body, Session) for row in await driver.rows(PageOf(SARAH, RowKind.SESSION, limit=9))]
    assert [row.row_id for row in said] == [row.row_id for row in runs]
    try:
        await driver.records(SARAH, 0, 1)
        first = 1
    except TruncatedJournal as truncated:
        first = truncated.first
    users.forget(SARAH)
    return {
        "runs": len(runs),
        "sessions": {each.session_id: (each.run_count, each.message_count) for each in sessions},
        "memories": (await users.latest(SARAH)).state.memory_count,
        "first": first,
    }


async def say(users: Users, writer: Writer, session_id: str, count: int) -> None:
    for number in range(count):
        message = Message(Role.USER, (TextPart(f"I row boat {number}"),))
        run = Run(session_id=session_id, run_id=new_id(), index=0, messages=(message,))
        await writer.write(SARAH, AppendRunCommand(run, 9, LearningMode.OFF, Quiet(0.0, 0.0), new_id()))
        memory = Memory(memory_id=new_id(), number=0, text=f"Boat {number} {session_id}")
        await writer.write(SARAH, WriteCommand([Create(memory)], Guard(), 1_000))
