"""What has expired, and no sweep has deleted yet, is in nobody's way: what is written in its place stays."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from memsvc.access.allowance import Quotas
from memsvc.administration import Importer
from memsvc.errors import NotFound
from memsvc.memories import Create, Guard, MemoryWriter, Operation, Target, Update
from memsvc.model import Cause, ImportMode, ImportResult, Layer, Memory, Origin, Scope
from memsvc.sessions import Quiet
from memsvc.settings import SettingsReader
from memsvc.storage.memory import MemoryDriver
from memsvc.tools.changing import Fact, SaveCommand
from memsvc.tools.permissions import Permissions
from memsvc.users import Users
from memsvc.writing.writer import Writer

SARAH = Scope("default", "sarah")
TEXT = frozenset(("text",))


def mood(memory_id: str, text: str, key: str = "mood", expire_time: int = 0) -> Memory:
    return Memory(memory_id=memory_id, number=0, layer=Layer.PROFILE, key=key, text=text, expire_time=expire_time)


class World:
    """A server's part in it, in which nobody sweeps."""

    def __init__(self, driver: MemoryDriver) -> None:
        self.users = Users(driver)
        self.writer, self.quotas = Writer(self.users), Quotas(10)
        self.memories = MemoryWriter(self.users, self.writer, self.quotas)

    async def seen(self) -> dict[str, str]:
        user = await self.users.latest(SARAH)
        return {memory.key: memory.text for memory in user.layer(Layer.PROFILE).values()}


@pytest.fixture
async def world() -> AsyncIterator[World]:
    driver = MemoryDriver("memory://", {})
    await driver.open()
    world = World(driver)
    await world.memories.write(SARAH, [Create(mood("m1", "Is happy", expire_time=1))], Guard())
    yield world
    await world.writer.close()
    await driver.close()


@pytest.mark.parametrize(
    "operation",
    [
        Update(Target("", Layer.PROFILE, "mood"), mood("m2", "Is sad"), TEXT, allow_missing=True),
        Update(Target("m1"), mood("m1", "Is sad"), TEXT, allow_missing=True),
        Create(mood("m2", "Is sad")),
        Create(mood("m1", "Is sad")),
    ],
)
async def test_what_is_written_in_its_place_stays(world: World, operation: Operation) -> None:
    commit = await world.memories.write(SARAH, [operation], Guard())

    assert await world.seen() == {"mood": "Is sad"}
    written = [change.after for change in commit.changes if change.after is not None]
    assert [(memory.text, memory.number, memory.expire_time) for memory in written] == [("Is sad", 2, 0)]
    gone = [change for change in commit.changes if change.after is None]
    assert [(change.memory_id, change.cause) for change in gone] == [("m1", Cause.EXPIRED)] * len(gone)


async def test_its_key_is_no_branch_or_leaf_any_more(world: World) -> None:
    await world.memories.write(SARAH, [Create(mood("m2", "Is sad", "mood.today"))], Guard())
    assert await world.seen() == {"mood.today": "Is sad"}


async def test_it_cannot_be_changed(world: World) -> None:
    with pytest.raises(NotFound):
        await world.memories.write(SARAH, [Update(Target("m1"), mood("m1", "Is sad"), TEXT)], Guard())


async def test_what_a_tool_saves_at_its_key_stays(world: World) -> None:
    fact = Fact(layer=Layer.PROFILE, key="mood", text="Is sad")
    await world.writer.write(SARAH, SaveCommand(None, Origin(), Permissions(), 10, fact))
    assert await world.seen() == {"mood": "Is sad"}


@pytest.mark.parametrize("mode", list(ImportMode))
async def test_what_is_imported_at_its_key_stays(world: World, mode: ImportMode) -> None:
    importer = Importer(world.writer, world.quotas, SettingsReader(world.users), Quiet(1, 1))
    outcomes, _ = await importer.bring_in(SARAH, [mood("m2", "Is sad")], mode, None)
    assert [outcome.result for outcome in outcomes] == [ImportResult.CREATED]
    assert await world.seen() == {"mood": "Is sad"}
