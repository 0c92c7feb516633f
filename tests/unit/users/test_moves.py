"""A hint of the driver wakes those who watch a user that moved, and nobody else; a driver that fails is asked again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from memsvc.errors import StorageUnavailable
from memsvc.model import Scope
from memsvc.storage.driver import Append, Record, RecordKind, Tip
from memsvc.storage.memory import MemoryDriver
from memsvc.users import moves
from memsvc.users.moves import Moves

AVA, BEN = Scope("default", "ava"), Scope("default", "ben")
_SOON = 10.0


class HintingDriver(MemoryDriver):
    """Hints at what it is told to; an error is raised in place of a hint."""

    def __init__(self) -> None:
        super().__init__("memory://", {})
        self.told: asyncio.Queue[Scope | StorageUnavailable | None] = asyncio.Queue()

    async def hints(self) -> AsyncIterator[Scope | None]:
        while True:
            hint = await self.told.get()
            if isinstance(hint, StorageUnavailable):
                raise hint
            yield hint

    async def move(self, scope: Scope) -> Tip:
        tip = (await self.tips([scope]))[0]
        record = Record(tip.seq + 1, f"{tip.seq:016x}", RecordKind.COMMIT, 0, b"{}")
        await self.append([Append(scope=scope, after=tip, records=[record])])
        return Tip(record.seq, record.nonce)


@pytest.fixture
async def driver() -> AsyncIterator[HintingDriver]:
    driver = HintingDriver()
    await driver.open()
    yield driver
    await driver.close()


async def test_a_hint_that_names_a_user_wakes_its_watchers(driver: HintingDriver) -> None:
    watched = Moves()
    with watched.watch(AVA) as ava, watched.watch(BEN) as ben:
        following = asyncio.create_task(watched.follow(driver, lambda _: None))
        driver.told.put_nowait(AVA)
        assert await ava.wait(_SOON)
        assert not await ben.wait(0.0)
        following.cancel()


async def test_a_hint_that_names_nobody_wakes_watchers_of_those_who_moved(driver: HintingDriver) -> None:
    watched = Moves()
    known = {AVA: await driver.move(AVA), BEN: await driver.move(BEN)}
    with watched.watch(AVA) as ava, watched.watch(BEN) as ben:
        following = asyncio.create_task(watched.follow(driver, known.get))
        await driver.move(BEN)
        driver.told.put_nowait(None)
        assert await ben.wait(_SOON)
        assert not await ava.wait(0.0)
        following.cancel()


async def test_hints_go_on_after_the_database_was_away(driver: HintingDriver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moves, "_RETRY_SECONDS", 0.0)
    watched = Moves()
    with watched.watch(AVA) as ava:
        following = asyncio.create_task(watched.follow(driver, lambda _: None))
        driver.told.put_nowait(StorageUnavailable("away"))
        driver.told.put_nowait(AVA)
        assert await ava.wait(_SOON)
        following.cancel()
