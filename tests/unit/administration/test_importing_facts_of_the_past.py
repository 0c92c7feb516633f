"""A memory may be imported over a fact of the past that has its id, and the other way round."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from msgspec.structs import replace

from memsvc.access.allowance import Quotas
from memsvc.administration import Importer
from memsvc.journal.state import load
from memsvc.limits import TEXT_BYTES
from memsvc.memories import Guard, MemoryRestorer, MemoryWriter, Revert
from memsvc.memories.sweeping import SweepCommand
from memsvc.model import ImportMode, Layer, Memory, Scope
from memsvc.search.filter import MemoryFilter
from memsvc.sessions import Quiet
from memsvc.settings import SettingsReader
from memsvc.storage.driver import RowKind
from memsvc.storage.memory import MemoryDriver
from memsvc.users import Users
from memsvc.users.world import with_past
from memsvc.writing.writer import Writer

SARAH = Scope("default", "sarah")
BERLIN = Memory(memory_id="m1", number=1, layer=Layer.PROFILE, key="location", text="Lives in Berlin")
OSLO = Memory(memory_id="m2", number=2, layer=Layer.PROFILE, key="location", text="Lives in Oslo")
PAST = replace(BERLIN, superseded=True, text="Lived in Berlin")


class World:
    """A server's part in it."""

    def __init__(self, driver: MemoryDriver) -> None:
        self.driver = driver
        self.users = Users(driver)
        writer, quotas = Writer(self.users), Quotas(10)
        self.writer = writer
        self.memory_writer = MemoryWriter(self.users, writer, quotas)
        self.importer = Importer(writer, quotas, SettingsReader(self.users), Quiet(3_600, 3_600))
        self.restorer = MemoryRestorer(self.users, writer, quotas)

    async def bring_in(self, *memories: Memory) -> None:
        await self.importer.bring_in(SARAH, memories, ImportMode.OVERWRITE, None)
        await self.check()

    async def check(self) -> None:
        """Look that what is followed in RAM is what a restart finds."""
        state = (await self.users.latest(SARAH)).state
        stored = await self.driver.load(SARAH, (RowKind.STATE, RowKind.MEMORY, RowKind.FORMER))
        loaded = load(SARAH, stored)
        assert (state.layers, state.keys, state.former) == (loaded.layers, loaded.keys, loaded.former)

    async def texts(self) -> tuple[list[str], list[str]]:
        """Return what is so and what was, and look that lists and search know the same."""
        user = await self.users.latest(SARAH)
        present = [memory.text for memory in user.memories()]
        assert sorted(memory.text for memory in user.newest()) == sorted(present)
        assert len(user.search("lives lived Berlin Oslo", 10)) == len(present)
        return present, [memory.text for memory in user.state.former.values()]


@pytest.fixture
async def world() -> AsyncIterator[World]:
    driver = MemoryDriver("memory://", {})
    await driver.open()
    yield World(driver)
    await driver.close()


async def test_a_memory_becomes_a_fact_of_the_past(world: World) -> None:
    await world.bring_in(BERLIN)
    assert await world.texts() == (["Lives in Berlin"], [])
    await world.bring_in(PAST)
    assert await world.texts() == ([], ["Lived in Berlin"])
    await world.bring_in(OSLO)
    assert await world.texts() == (["Lives in Oslo"], ["Lived in Berlin"])


async def test_a_fact_of_the_past_becomes_a_memory_and_takes_only_its_own_place(world: World) -> None:
    await world.bring_in(PAST, OSLO)
    await world.bring_in(replace(BERLIN, key="home"))
    user = await world.users.latest(SARAH)
    assert await world.texts() == (["Lives in Berlin", "Lives in Oslo"], [])
    assert user.state.at(Layer.PROFILE, "location") is not None
    assert user.state.at(Layer.PROFILE, "home") is not None


async def with_a_long_past(world: World, expire_time: int = 0) -> None:
    """Let a memory have said more before than one record deletes."""
    await world.bring_in(replace(OSLO, expire_time=expire_time))
    for part in range(4):
        said = [
            replace(PAST, memory_id=f"past {part} {number}", number=0, text="x" * TEXT_BYTES, successor_id="m2")
            for number in range(200)
        ]
        await world.bring_in(*said)


async def test_what_expires_goes_with_all_that_it_said_before_however_much_that_is(world: World) -> None:
    await with_a_long_past(world, expire_time=1)
    while await world.writer.write(SARAH, SweepCommand()):
        await world.check()
    assert await world.texts() == ([], [])


async def test_what_is_cleared_goes_with_all_that_it_said_before_however_much_that_is(world: World) -> None:
    await with_a_long_past(world)
    cleared = await world.memory_writer.clear(SARAH, MemoryFilter(memory_ids=("m2",)), Guard(), purge_text=False)
    assert cleared.count == 801
    assert await world.texts() == ([], [])


async def test_what_became_of_it_can_be_undone(world: World) -> None:
    await world.bring_in(PAST)
    await world.bring_in(BERLIN)
    await world.restorer.restore(SARAH, Revert(0), Guard())
    await world.check()
    assert await world.texts() == ([], ["Lived in Berlin"])
    await world.restorer.restore(SARAH, Revert(0), Guard())
    await world.check()
    assert await world.texts() == (["Lives in Berlin"], [])


async def test_a_fact_of_the_past_that_has_expired_is_hidden(world: World) -> None:
    await world.bring_in(replace(PAST, expire_time=1), replace(OSLO, superseded=True))
    user = await world.users.latest(SARAH)
    for wanted in (MemoryFilter(include_superseded=True), MemoryFilter(valid_at=1)):
        assert [memory.text for memory in with_past(user, wanted).memories()] == ["Lives in Oslo"]
