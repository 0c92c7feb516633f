"""Commands that wait: how many, for how long, and what they are prepared on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from memsvc.errors import Reason, StorageUnavailable, Unavailable
from memsvc.ids import new_id
from memsvc.journal.records import Request
from memsvc.journal.state import State
from memsvc.memories import Create, Guard
from memsvc.memories.writing import WriteCommand
from memsvc.model import Commit, Memory, Scope
from memsvc.storage.driver import Driver, RowKind
from memsvc.storage.memory import MemoryDriver
from memsvc.users import Users
from memsvc.writing.writer import Writer


class Held(MemoryDriver):
    """Answers while `open_gate` is set."""

    def __init__(self) -> None:
        super().__init__("memory://", {})
        self.gate = asyncio.Event()
        self.gate.set()

    async def append(self, *args: Any) -> Any:
        await self.gate.wait()
        return await super().append(*args)

    async def load(self, *args: Any) -> Any:
        await self.gate.wait()
        return await super().load(*args)


@pytest.fixture
async def held() -> AsyncIterator[Held]:
    driver = Held()
    await driver.open()
    yield driver
    await driver.close()


def scope(number: int) -> Scope:
    return Scope("default", f"user-{number}")


def create(request_id: str = "") -> WriteCommand:
    request = Request(request_id, "CreateMemory", "") if request_id else None
    return WriteCommand([Create(Memory(memory_id=new_id(), number=0, text="Likes tea"))], Guard(request), 10_000)


async def turns(count: int = 20) -> None:
    """Let everything go as far as it can."""
    for _ in range(count):
        await asyncio.sleep(0)


@pytest.mark.parametrize("users", [1, 3, 50])
async def test_no_more_writes_wait_than_there_is_room_for(held: Held, users: int) -> None:
    writer = Writer(Users(held), max_waiting=10)
    held.gate.clear()
    waiting = [asyncio.create_task(writer.write(scope(number % users), create())) for number in range(10)]
    await turns()
    for number in range(3):
        with pytest.raises(Unavailable) as refused:
            await writer.write(scope(number), create())
        assert refused.value.reason is Reason.TOO_MANY_CALLS
        assert refused.value.retry_after_seconds
    held.gate.set()
    await asyncio.gather(*waiting)
    # All of the room is there again: also that of commands whose callers have given up.
    for _ in range(3):
        held.gate.clear()
        given_up = [asyncio.create_task(writer.write(scope(number % users), create())) for number in range(10)]
        await turns()
        for task in given_up:
            task.cancel()
        held.gate.set()
        await asyncio.gather(*given_up, return_exceptions=True)
        await writer.write(scope(0), create())
    await writer.close()


async def test_commands_are_decided_though_the_cache_holds_nobody(held: Held) -> None:
    loads = 0
    load = held.load

    async def counted(*args: Any) -> Any:
        nonlocal loads
        loads += 1
        await asyncio.sleep(0)
        return await load(*args)

    held.load = counted  # type: ignore[method-assign]
    users = Users(held, cache_bytes=0)
    writer = Writer(users)
    async with asyncio.timeout(20):
        await asyncio.gather(*(writer.write(scope(number % 30), create(f"r{number}")) for number in range(300)))
    # Each user and its requests once for as long as some of its commands waited.
    assert loads <= 2 * 30
    for number in range(30):
        assert (await users.latest(scope(number))).state.memory_count == 10
    assert sum(users.hot(scope(number)) is not None for number in range(30)) == 1
    await writer.close()


async def test_a_repeat_is_known_though_the_user_moved_on_while_its_requests_were_read(held: Held) -> None:
    """What is read is as old as the question; what a state lacks that has moved on since would be carried out twice."""
    other = Writer(Users(held))
    users = Users(held)
    writer = Writer(users)
    await other.write(scope(0), create("r0"))
    await users.latest(scope(0))
    load = held.load

    async def overtaken(at: Scope, kinds: Any) -> Any:
        loaded = await load(at, kinds)
        if RowKind.REQUEST in kinds and held.load is overtaken:
            held.load = load  # type: ignore[method-assign]
            await other.write(scope(0), create("r1"))
            await users.latest(scope(0))
        return loaded

    held.load = overtaken  # type: ignore[method-assign]
    await writer.write(scope(0), create("r1"))
    assert (await users.latest(scope(0))).state.memory_count == 2
    await writer.close()
    await other.close()


async def test_what_never_came_to_be_refuses_nothing(held: Held) -> None:
    """Two creates of one memory wait together; the first is lost by the database."""
    writer = Writer(Users(held))
    append = held.append

    async def lost(*args: Any) -> Any:
        held.append = append  # type: ignore[method-assign]
        raise StorageUnavailable("the connection was cut")

    held.append = lost  # type: ignore[method-assign]
    command = WriteCommand([Create(Memory(memory_id="m1", number=0, text="Likes tea"))], Guard(), 10_000)
    first, second = await asyncio.gather(
        writer.write(scope(0), command), writer.write(scope(0), command), return_exceptions=True
    )
    assert isinstance(first, StorageUnavailable)
    assert isinstance(second, Commit)
    await writer.close()


async def test_closing_waits_for_what_is_under_way(held: Held) -> None:
    writer = Writer(Users(held))
    held.gate.clear()
    writing = [asyncio.create_task(writer.write(scope(number), create())) for number in range(3)]
    await turns()
    closing = asyncio.create_task(writer.close(30))
    await turns()
    assert not closing.done()
    held.gate.set()
    assert await closing == 0
    await asyncio.gather(*writing)
    with pytest.raises(Unavailable):
        await writer.write(scope(0), create())


@pytest.mark.parametrize("prepared", [False, True])
async def test_closing_waits_no_longer_than_it_is_told_and_leaves_nobody_waiting(held: Held, prepared: bool) -> None:
    users = Users(held)
    writer = Writer(users)
    if prepared:
        for number in range(3):
            await users.latest(scope(number))
    held.gate.clear()
    writing = [asyncio.create_task(writer.write(scope(number % 3), create())) for number in range(6)]
    await turns()
    assert await writer.close(0.05) == 3
    for each in await asyncio.gather(*writing, return_exceptions=True):
        assert isinstance(each, StorageUnavailable)


class Picky(WriteCommand):
    """Needs rows at every tip, and finds the journal moved on each time they were read."""

    moves: Any = None
    _prepared: int = 0

    def needs(self, state: State) -> bool:
        return True

    async def prepare(self, driver: Driver, state: State) -> None:
        self._prepared += 1
        await self.moves()


async def test_a_command_that_others_overtake_each_time_it_is_prepared_gives_up(
    held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("memsvc.writing.waiting._PATIENCE_SECONDS", 0.0)
    other, users = Writer(Users(held)), Users(held)
    writer = Writer(users)

    async def moves() -> None:
        await other.write(scope(0), create())
        await users.latest(scope(0))

    command = Picky([Create(Memory(memory_id=new_id(), number=0, text="x"))], Guard(), 10_000, moves=moves)
    async with asyncio.timeout(20):
        with pytest.raises(Exception, match="gave up"):
            await writer.write(scope(0), command)
    await writer.close()
    await other.close()
