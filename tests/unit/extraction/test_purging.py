"""A purge leaves nothing of what it was asked for in the history, and the rest as it is."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Collection, Sequence
from contextlib import aclosing, suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from replica import SARAH, Replica

from memsvc.access.allowance import Quotas
from memsvc.errors import StorageUnavailable
from memsvc.ids import new_id
from memsvc.journal.purged import EVERYTHING
from memsvc.journal.records import Request
from memsvc.memories import Create, Delete, Guard, MemoryWriter, Target
from memsvc.memories.watching import Committed, MemoryHistory
from memsvc.model import Memory, Origin, Scope
from memsvc.purge import purge
from memsvc.search.filter import MemoryFilter
from memsvc.storage.driver import Redaction
from memsvc.storage.memory import MemoryDriver
from memsvc.users import Users
from memsvc.writing.writer import Writer


@pytest.fixture
def memories(replica: Replica) -> MemoryWriter:
    return MemoryWriter(replica.users, replica.writer, Quotas(10_000))


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


@pytest.fixture
async def behind(replica: Replica) -> Users:
    """What another server has in RAM: the user as it was before all of this."""
    users = Users(replica.driver)
    await users.latest(SARAH)
    return users


@pytest.mark.parametrize("wanted", [MemoryFilter(), MemoryFilter(text_contains="ski")], ids=["all", "by words"])
async def test_who_was_behind_reads_what_outlives_the_session_it_was_learned_from(
    wanted: MemoryFilter, replica: Replica, behind: Users
) -> None:
    """What it says of that is blank in the history, and it is remembered as before."""
    watching = MemoryHistory(behind).watch(SARAH, wanted, send_initial=False, resume_token="")
    async with aclosing(watching) as watch:
        await anext(watch)
        replica.worker.start()
        receipt = await replica.say("I ski", session_id="s1")
        await replica.extractions.wait(SARAH, receipt.extraction_id, 10)
        await replica.sessions.delete(SARAH, "s1", None, forget_learned=False, purge_text=True, allow_missing=False)

        _, event = await anext(watch)

    learned = list((await replica.users.latest(SARAH)).memories())
    assert [memory.text for memory in learned] == ["I ski"]
    assert list((await behind.latest(SARAH)).memories()) == learned
    assert isinstance(event, Committed)
    assert [change.after for change in event.commit.changes] == learned


async def test_a_repeat_answers_what_lives_on_though_its_session_was_purged(
    replica: Replica, memories: MemoryWriter
) -> None:
    await replica.say("Hello", session_id="s1")
    said = replace(memory("Skis", "m1"), origin=Origin(session_id="s1"))
    guard = Guard(Request("r1", "CreateMemory", "digest"))
    first = await memories.write(SARAH, [Create(said)], guard)
    await replica.sessions.delete(SARAH, "s1", None, forget_learned=False, purge_text=True, allow_missing=False)

    assert await memories.write(SARAH, [Create(said)], guard) == first


async def test_a_purge_leaves_what_came_after_an_earlier_one(replica: Replica, memories: MemoryWriter) -> None:
    await memories.write(SARAH, [Create(memory("SECRET", "m1"))], Guard())
    await memories.write(SARAH, [Delete(Target("m1"))], Guard(), purge_text=True)
    await memories.write(SARAH, [Create(memory("Skis", "m1")), Create(memory("SECRET", "m2"))], Guard(), batch=True)
    await memories.write(SARAH, [Delete(Target("m2"))], Guard(), purge_text=True)

    kept = await history(replica)
    assert b"SECRET" not in kept
    assert b"Skis" in kept


class Restless(MemoryDriver):
    """Takes its time over redactions and fails at some, before it has done them or after."""

    def __init__(self, chance: random.Random) -> None:
        super().__init__("memory://", {})
        self.chance = chance
        self.fails = 0.3

    async def redact(self, scope: Scope, redactions: Sequence[Redaction]) -> Collection[int]:
        for _ in range(self.chance.randrange(5)):
            await asyncio.sleep(0)
        self.may_fail()
        replaced = await super().redact(scope, redactions)
        self.may_fail()
        return replaced

    def may_fail(self) -> None:
        if self.chance.random() < self.fails:
            raise StorageUnavailable("killed")


class OneServer:
    """One of several on a store."""

    def __init__(self, driver: MemoryDriver) -> None:
        self.users = Users(driver)
        self.writer = Writer(self.users)
        self.memories = MemoryWriter(self.users, self.writer, Quotas(10_000))

    async def delete(self, memory_id: str) -> None:
        await self.memories.write(SARAH, [Delete(Target(memory_id))], Guard(), purge_text=True)

    async def unpurged(self) -> Collection[str]:
        return (await self.users.latest(SARAH)).state.core.purges


async def texts(driver: MemoryDriver) -> bytes:
    return b"".join(record.body for record in await driver.records(SARAH, 0, 1_000))


@settings(deadline=None, max_examples=150)
@given(st.integers(0, 1 << 32))
def test_of_purges_at_once_killed_anywhere_none_brings_back_what_another_blanked(seed: int) -> None:
    async def purge_all() -> None:
        driver = Restless(random.Random(seed))
        await driver.open()
        names = ["one", "two", "three"]
        servers = {name: OneServer(driver) for name in names}
        for _ in range(2):
            made = [Create(memory(f"SECRET of {name}", name)) for name in names]
            await servers["one"].memories.write(SARAH, made, Guard(), batch=True)
            done = asyncio.gather(*(servers[name].delete(name) for name in names), return_exceptions=True)
            assert all(error is None or isinstance(error, StorageUnavailable) for error in await done)
            unpurged = await servers["two"].unpurged()
            for name in set(names).difference(unpurged):
                assert f"SECRET of {name}".encode() not in await texts(driver)
        while await servers["three"].unpurged():
            with suppress(StorageUnavailable):
                await purge(servers["three"].users, servers["three"].writer, SARAH)
        assert b"SECRET" not in await texts(driver)

    asyncio.run(purge_all())


class Held(MemoryDriver):
    """Holds the first redaction back."""

    def __init__(self) -> None:
        super().__init__("memory://", {})
        self.began = asyncio.Event()
        self.goes_on = asyncio.Event()

    async def redact(self, scope: Scope, redactions: Sequence[Redaction]) -> Collection[int]:
        if self.began.is_set() and not self.goes_on.is_set():
            raise StorageUnavailable("killed")
        self.began.set()
        await self.goes_on.wait()
        return await super().redact(scope, redactions)


async def test_what_is_asked_for_again_during_a_purge_is_not_taken_for_done() -> None:
    driver = Held()
    await driver.open()
    first, second = OneServer(driver), OneServer(driver)
    await first.memories.write(SARAH, [Create(memory("SECRET", "m1"))], Guard())
    clearing = asyncio.create_task(first.memories.clear(SARAH, MemoryFilter(), Guard(), purge_text=True))
    await driver.began.wait()
    await second.memories.write(SARAH, [Create(memory("SECRET too", "m2"))], Guard())
    with pytest.raises(StorageUnavailable):
        await second.memories.clear(SARAH, MemoryFilter(), Guard(), purge_text=True)
    driver.goes_on.set()
    await clearing

    assert EVERYTHING in await second.unpurged()
    await purge(second.users, second.writer, SARAH)
    assert b"SECRET" not in await texts(driver)
    assert not await second.unpurged()
