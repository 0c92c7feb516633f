"""What is in RAM, for how long, and that it is the history which the database has."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator
from typing import Any

import pytest

from memsvc.errors import StorageUnavailable
from memsvc.ids import new_id
from memsvc.journal.records import Request
from memsvc.memories import Create, Guard
from memsvc.memories.writing import WriteCommand
from memsvc.model import Memory, Scope
from memsvc.storage.driver import Driver
from memsvc.storage.memory import MemoryDriver
from memsvc.users import Consistency, Users
from memsvc.users.cache import HotCache
from memsvc.users.hot import HotUser
from memsvc.writing.writer import Writer

SARAH = Scope("default", "sarah")
ANY_AGE = Consistency(max_staleness_seconds=3600)


class Switched(MemoryDriver):
    """A driver whose database can be replaced by a backup of it while it is open."""

    def __init__(self) -> None:
        super().__init__("memory://", {})
        self.loads = 0

    async def load(self, *args: Any) -> Any:
        self.loads += 1
        return await super().load(*args)

    def restore(self, backup: MemoryDriver) -> None:
        self.__dict__.update({name: value for name, value in backup.__dict__.items() if name != "loads"})


@pytest.fixture
async def driver() -> AsyncIterator[Switched]:
    driver = Switched()
    await driver.open()
    yield driver
    await driver.close()


def scope(number: int) -> Scope:
    return Scope("default", f"user-{number}")


async def remember(driver: Driver, at: Scope, texts: list[str], request_id: str = "") -> None:
    writer = Writer(Users(driver))
    for text in texts:
        request = Request(request_id, "CreateMemory", "") if request_id else None
        command = WriteCommand([Create(Memory(memory_id=new_id(), number=0, text=text))], Guard(request), 10_000)
        await writer.write(at, command)
    await writer.close()


def texts_of(hot: HotUser) -> list[str]:
    return [memory.text for memory in hot.memories()]


async def test_a_cache_evicts_those_not_used_for_longest(driver: Switched) -> None:
    for number in range(20):
        await remember(driver, scope(number), ["x" * 1_000])
    one = Users(driver)
    size = (await one.latest(scope(0))).size_bytes
    users = Users(driver, cache_bytes=int(4.5 * size))
    driver.loads = 0
    for number in range(20):
        await users.latest(scope(number))
        await users.latest(scope(0))
    assert driver.loads == 20
    assert [number for number in range(20) if users.hot(scope(number)) is not None] == [0, 17, 18, 19]
    await users.latest(scope(5))
    assert driver.loads == 21


async def test_a_user_that_grows_makes_others_leave(driver: Switched) -> None:
    for number in range(4):
        await remember(driver, scope(number), ["x"])
    users = Users(driver, cache_bytes=60_000)
    for number in range(4):
        await users.latest(scope(number))
    assert all(users.hot(scope(number)) is not None for number in range(4))
    await remember(driver, scope(3), ["x" * 7_000] * 7)
    await users.latest(scope(3))
    assert users.hot(scope(0)) is None
    assert users.hot(scope(3)) is not None


@pytest.mark.parametrize("loaded", [False, True])
async def test_who_is_pinned_stays_until_unpinned_as_often(driver: Switched, loaded: bool) -> None:
    for number in range(6):
        await remember(driver, scope(number), ["x"])
    users = Users(driver, cache_bytes=1)
    if loaded:
        await users.latest(scope(0))
    users.pin(scope(0))
    users.pin(scope(0))
    for number in range(3):
        await users.latest(scope(number))
    assert users.hot(scope(0)) is not None
    assert users.hot(scope(1)) is None
    users.unpin(scope(0))
    await users.latest(scope(4))
    assert users.hot(scope(0)) is not None
    users.unpin(scope(0))
    await users.latest(scope(5))
    assert [number for number in range(6) if users.hot(scope(number)) is not None] == [5]


async def test_a_user_larger_than_the_cache_is_loaded_once_for_all_of_its_readers(driver: Switched) -> None:
    await remember(driver, SARAH, ["x"])
    users = Users(driver, cache_bytes=1)
    driver.loads = 0
    for _ in range(5):
        await users.latest(SARAH)
    assert driver.loads == 1


async def test_a_load_that_fails_when_its_reader_has_gone_is_nobodys_error(driver: Switched) -> None:
    asked, answer = asyncio.Event(), asyncio.Event()

    async def load(*_: Any) -> Any:
        asked.set()
        await answer.wait()
        raise StorageUnavailable("the database went away")

    driver.load = load  # type: ignore[method-assign]
    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, complaint: complaints.append(complaint))
    users = Users(driver)
    reader = asyncio.create_task(users.latest(SARAH))
    await asked.wait()
    reader.cancel()
    await asyncio.gather(reader, return_exceptions=True)
    del reader
    answer.set()
    while users._loads:
        await asyncio.sleep(0)
    await asyncio.sleep(0)
    gc.collect()
    assert complaints == []


async def test_what_the_cache_counts_is_the_sum_of_what_is_in_it(driver: Switched) -> None:
    for number in range(6):
        await remember(driver, scope(number), ["x" * 100] * (number + 1))
    users = Users(driver, cache_bytes=12_000)
    for number in (0, 1, 2, 3, 4, 5, 2, 0):
        hot = await users.latest(scope(number))
        await hot.prepare_search()
        users.recount(hot)
        users.pin(scope(number % 2))
        await users.latest(scope(number))
        users.unpin(scope(number % 2))
    users.forget(scope(0))
    cache: HotCache = users._cache
    there = [hot for number in range(6) if (hot := users.hot(scope(number))) is not None]
    assert cache.total_bytes == sum(hot.size_bytes for hot in there) <= 12_000


@pytest.mark.parametrize("length", [0, 1, 4, 5, 6, 9, 300])
async def test_a_hot_user_does_not_outlive_a_restored_backup(driver: Switched, length: int) -> None:
    """However long the journal is by then: a seq says nothing, only the nonce at it does."""
    await remember(driver, SARAH, [f"Lost {number}" for number in range(5)])
    users = Users(driver)
    assert len(texts_of(await users.latest(SARAH))) == 5
    backup = MemoryDriver("memory://", {})
    await backup.open()
    restored = [f"Restored {number}" for number in range(length)]
    await remember(backup, SARAH, restored)
    driver.restore(backup)
    assert texts_of(await users.latest(SARAH)) == restored


@pytest.mark.parametrize("length", [1, 5, 9])
async def test_a_request_that_a_restored_backup_does_not_know_is_carried_out(driver: Switched, length: int) -> None:
    """Not answered from RAM, nor from the record that is now at its place."""
    users = Users(driver)
    writer = Writer(users)
    request = Request("r1", "CreateMemory", "")
    command = WriteCommand([Create(Memory(memory_id="m1", number=0, text="Likes tea"))], Guard(request), 10_000)
    await remember(driver, SARAH, ["Lost"] * 4)
    await writer.write(SARAH, command)
    backup = MemoryDriver("memory://", {})
    await backup.open()
    await remember(backup, SARAH, [f"Restored {number}" for number in range(length)])
    driver.restore(backup)
    commit = await writer.write(SARAH, command)
    assert commit.revision == length + 1
    assert texts_of(await users.latest(SARAH))[-1] == "Likes tea"
    await writer.close()
