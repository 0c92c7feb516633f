"""Appends to MongoDB: one winner whoever races, and a journal that is not what it was."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Callable
from contextlib import AsyncExitStack

import pytest
from mongo_stores import behind, empty_store, opened

from memsvc.errors import InvalidArgument
from memsvc.model import Scope
from memsvc.storage.conformance.calls import until_well
from memsvc.storage.conformance.items import Journal, item, outcome_of, state, tip_now, tip_of
from memsvc.storage.driver import EMPTY, Outcome, Row, RowKey, RowKind, Tip
from tests.servers.ferretdb import FerretDB
from tests.servers.given import GivenServer

pytestmark = pytest.mark.mongodb

Server = FerretDB | GivenServer
SARAH = Scope("default", "sarah")


async def test_of_sixteen_clients_that_begin_a_journal_one_wins(mongodb_server: Server) -> None:
    async with empty_store(mongodb_server.url) as url, AsyncExitStack() as stack:
        drivers = [await stack.enter_async_context(opened(url, pool_size="1")) for _ in range(16)]
        for number in range(4):
            scope = Scope("default", f"user-{number}")
            rivals = [item(scope, EMPTY, [b"{}"] * (1 + place % 3), puts=[state(place)]) for place in range(16)]
            outcomes = await asyncio.gather(*map(outcome_of, drivers, rivals))
            assert sorted(outcome.value for outcome in outcomes) == ["appended", *["conflict"] * 15]
            winner = rivals[outcomes.index(Outcome.APPENDED)]
            loaded = await drivers[0].load(scope, [RowKind.STATE])
            assert (loaded.tip, list(loaded.rows)) == (tip_of(winner), list(winner.puts))


async def test_an_append_after_the_middle_of_another_conflicts(mongodb_server: Server) -> None:
    async with empty_store(mongodb_server.url) as url, opened(url) as driver:
        journal = Journal(driver, SARAH)
        written = (await journal.append([b"1", b"2", b"3"])).records
        for record in written[:-1]:
            assert await outcome_of(driver, item(SARAH, Tip(record.seq, record.nonce))) is Outcome.CONFLICT
        await journal.append()
        assert [record.seq for record in await driver.records(SARAH, 0, 10)] == [1, 2, 3, 4]


async def test_a_restored_backup_is_noticed_by_who_wrote_after_it(own_mongodb: Callable[..., FerretDB]) -> None:
    server = own_mongodb()
    backup = server.folder / "backup"
    async with opened(server.url) as driver:
        journal = Journal(driver, SARAH)
        await journal.append(puts=[state(1)])
        backed_up = journal.tip
        server.stop()
        shutil.copytree(server.data, backup)
        server.start()
        await until_well(driver.ping)
        await journal.append(puts=[state(2)])
        await journal.append(puts=[state(3)])
        server.stop()
        shutil.rmtree(server.data)
        shutil.copytree(backup, server.data)
        server.start()
        await until_well(driver.ping)
        assert await outcome_of(driver, item(SARAH, journal.tip)) is Outcome.CONFLICT
        assert await tip_now(driver, SARAH) == backed_up
        restored = Journal(driver, SARAH, backed_up)
        await restored.append(puts=[state(20)])
        loaded = await driver.load(SARAH, [RowKind.STATE])
        assert (loaded.tip, list(loaded.rows)) == (restored.tip, [state(20)])


async def test_whoever_is_a_day_behind_still_cannot_begin_the_journal_anew(mongodb_server: Server) -> None:
    async with empty_store(mongodb_server.url) as url, opened(url) as driver, behind(url) as background:
        journal = Journal(driver, SARAH)
        for number in range(5):
            await journal.append(puts=[state(number)])
        await driver.truncate(SARAH, 5)
        assert len(await background.store.journal.find({}, ["_id"])) == 5
        background.seconds_later = 2 * 86_400.0
        await background.projection.sweep()
        left = await background.store.journal.find({}, ["after"])
        assert sorted(document["after"] for document in left) == [0, 4]
        async with opened(url) as stale:
            assert await outcome_of(stale, item(SARAH, EMPTY)) is Outcome.CONFLICT
            assert await tip_now(stale, SARAH) == journal.tip
            await Journal(stale, SARAH, journal.tip).append()
            assert [record.seq for record in await stale.records(SARAH, 4, 10)] == [5, 6]


async def test_who_was_last_here_days_ago_appends_nowhere_that_was_forgotten_meanwhile(mongodb_server: Server) -> None:
    days = 0.0
    async with (
        empty_store(mongodb_server.url) as url,
        behind(url) as background,
        opened(url, clock=lambda: time.time() + days * 86_400) as stale,
        opened(url) as other,
    ):
        left = Journal(stale, SARAH)
        for _ in range(2):
            await left.append()
        journal = Journal(other, SARAH, left.tip)
        for _ in range(3):
            await journal.append()
        await other.truncate(SARAH, 5)
        days = 2.0
        background.seconds_later = days * 86_400
        await background.projection.sweep()
        assert await outcome_of(stale, item(SARAH, left.tip)) is Outcome.CONFLICT
        assert await tip_now(stale, SARAH) == journal.tip
        await Journal(stale, SARAH, journal.tip).append()


async def test_names_without_utf8_are_refused(mongodb_server: Server) -> None:
    async with empty_store(mongodb_server.url) as url, opened(url) as driver:
        lone = "\ud800"
        for refused in (
            item(Scope("default", lone), EMPTY),
            item(SARAH, EMPTY, puts=[Row(RowKind.RUN, lone, b"{}")]),
            item(SARAH, EMPTY, puts=[Row(RowKind.RUN, "r1", b"{}", group=lone)]),
            item(SARAH, EMPTY, deletes=[RowKey(RowKind.RUN, lone)]),
        ):
            with pytest.raises(InvalidArgument):
                await driver.append([refused])
        with pytest.raises(InvalidArgument):
            await driver.tips([Scope(lone, "sarah")])
        assert await tip_now(driver, SARAH) == EMPTY
