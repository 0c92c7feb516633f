"""A MongoDB server that is killed or frozen under the driver, and comes back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from mongo_stores import opened

from memsvc.errors import StorageUnavailable
from memsvc.model import Scope
from memsvc.storage.conformance.calls import gives_up, outcome_or_unknown, until_well
from memsvc.storage.conformance.items import Journal, item, state, tip_now, tip_of
from memsvc.storage.driver import Outcome, RowKind
from tests.servers.ferretdb import FerretDB

pytestmark = pytest.mark.mongodb

HASTY = {"connect_timeout_ms": "500", "operation_timeout_ms": "1500"}
SARAH = Scope("default", "sarah")


async def test_a_killed_server_loses_nothing_and_is_found_again(own_mongodb: Callable[..., FerretDB]) -> None:
    server = own_mongodb()
    async with opened(server.url, **HASTY) as driver:
        journal = Journal(driver, SARAH)
        for number in range(1, 4):
            await journal.append(puts=[state(number)])
            appending = asyncio.ensure_future(outcome_or_unknown(driver, item(SARAH, journal.tip, puts=[state(-1)])))
            await asyncio.sleep(0)
            server.kill()
            assert await gives_up(lambda: driver.tips([SARAH]))
            await appending
            server.start()
            await until_well(driver.ping)
            loaded = await driver.load(SARAH, [RowKind.STATE])
            assert loaded.tip.seq in (journal.tip.seq, journal.tip.seq + 1)
            assert list(loaded.rows) == [state(number if loaded.tip == journal.tip else -1)]
            journal.tip = loaded.tip


async def test_a_frozen_server_is_waited_for_no_longer_than_configured(own_mongodb: Callable[..., FerretDB]) -> None:
    server = own_mongodb()
    async with opened(server.url, **HASTY) as driver:
        journal = Journal(driver, SARAH)
        await journal.append(puts=[state(1)])
        server.freeze()
        late = item(SARAH, journal.tip, puts=[state(2)])
        calls = [asyncio.ensure_future(gives_up(lambda: driver.load(SARAH, [RowKind.STATE]))) for _ in range(200)]
        assert await outcome_or_unknown(driver, late) is Outcome.UNKNOWN
        assert all(await asyncio.gather(*calls))
        server.thaw()
        await until_well(driver.ping)
        assert await tip_now(driver, SARAH) in (journal.tip, tip_of(late))


async def test_close_and_open_while_the_server_is_away(own_mongodb: Callable[..., FerretDB]) -> None:
    server = own_mongodb()
    async with opened(server.url, **HASTY) as driver:
        journal = Journal(driver, SARAH)
        await journal.append(puts=[state(1)])
        server.kill()
        await driver.close()
        with pytest.raises(StorageUnavailable):
            await driver.open()
        server.start()
        await until_well(driver.open)
        assert await tip_now(driver, SARAH) == journal.tip
