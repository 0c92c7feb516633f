"""A purge leaves nothing of what it was asked for in the history, and the rest as it is."""

from __future__ import annotations

import pytest
from replica import SARAH, Replica

from memsvc.ids import new_id
from memsvc.memories import Create, Delete, Guard, MemoryWriter, Target
from memsvc.model import Memory
from memsvc.search.filter import MemoryFilter


@pytest.fixture
def memories(replica: Replica) -> MemoryWriter:
    return MemoryWriter(replica.users, replica.writer, 10_000)


def memory(text: str, memory_id: str = "") -> Memory:
    return Memory(memory_id=memory_id or new_id(), number=0, text=text)


async def history(replica: Replica) -> bytes:
    return b"".join(record.body for record in await replica.driver.records(SARAH, 0, 1_000))


async def test_what_was_deleted_before_is_purged_by_its_id(replica: Replica, memories: MemoryWriter) -> None:
    await memories.write(SARAH, [Create(memory("SECRET", "m1"))], Guard())
    await memories.write(SARAH, [Delete(Target("m1"))], Guard())
    assert b"SECRET" in await history(replica)

    await memories.write(SARAH, [Delete(Target("m1"), allow_missing=True)], Guard(), purge_text=True)

    assert b"SECRET" not in await history(replica)


async def test_clearing_everything_purges_what_was_deleted_before(replica: Replica, memories: MemoryWriter) -> None:
    await memories.write(SARAH, [Create(memory("SECRET", "m1"))], Guard())
    await memories.write(SARAH, [Delete(Target("m1"))], Guard())
    await memories.write(SARAH, [Create(memory("SECRET too", "m2"))], Guard())

    await memories.clear(SARAH, MemoryFilter(), Guard(), purge_text=True)

    assert b"SECRET" not in await history(replica)


async def test_a_session_is_purged_also_of_what_it_taught_and_is_no_longer_there(
    replica: Replica, memories: MemoryWriter
) -> None:
    replica.worker.start()
    receipt = await replica.say("SECRET", session_id="s1")
    await replica.extractions.wait(SARAH, receipt.extraction_id, 10)
    [learned] = (await replica.users.latest(SARAH)).memories()
    await memories.write(SARAH, [Delete(Target(learned.memory_id))], Guard())

    await replica.sessions.delete(SARAH, "s1", None, forget_learned=True, purge_text=True, allow_missing=False)

    assert b"SECRET" not in await history(replica)


async def test_a_purge_leaves_what_came_after_an_earlier_one(replica: Replica, memories: MemoryWriter) -> None:
    await memories.write(SARAH, [Create(memory("SECRET", "m1"))], Guard())
    await memories.write(SARAH, [Delete(Target("m1"))], Guard(), purge_text=True)
    await memories.write(SARAH, [Create(memory("Skis", "m1")), Create(memory("SECRET", "m2"))], Guard(), batch=True)
    await memories.write(SARAH, [Delete(Target("m2"))], Guard(), purge_text=True)

    kept = await history(replica)
    assert b"SECRET" not in kept
    assert b"Skis" in kept
