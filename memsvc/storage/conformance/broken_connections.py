"""Connections that break at the worst moment: an item is whole or absent, and no outcome is wrong."""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress

from memsvc.errors import StorageUnavailable
from memsvc.model import Scope
from memsvc.storage.conformance.calls import PATIENCE_SECONDS, outcome_or_unknown, until_well
from memsvc.storage.conformance.items import item, state, tip_now, tip_of
from memsvc.storage.conformance.network import relayed
from memsvc.storage.conformance.store import Store
from memsvc.storage.driver import Append, Driver, Outcome, RowKind

_Fate = tuple[Append, Outcome]


async def test_connections_cut_in_the_middle_leave_items_whole(store: Store) -> None:
    """append: each item whole or not at all, APPENDED or CONFLICT only where it was so, wherever a connection broke."""
    chance = random.Random(7)
    scopes = store.crowd(8)
    fates: list[_Fate] = []
    async with relayed(store) as (driver, proxy):
        proxy.delay(0.002)
        for _ in range(store.scaled(12, least=4)):
            calls = [asyncio.ensure_future(_append_from_now(store, driver, scope)) for scope in scopes]
            loads = [asyncio.ensure_future(_load(driver, scope)) for scope in scopes]
            await asyncio.sleep(chance.random() * 0.02)
            await proxy.reset()
            async with asyncio.timeout(PATIENCE_SECONDS):
                fates += await asyncio.gather(*calls)
                await asyncio.gather(*loads)
        await until_well(driver.ping)
    for scope in scopes:
        await _assert_true(store, scope, fates)


async def test_an_append_whose_reply_was_lost_applies_once(store: Store) -> None:
    """append: UNKNOWN, or StorageUnavailable, when the reply was lost; a repeat at the same `after` never doubles."""
    async with relayed(store) as (driver, proxy):
        scope = store.user()
        for number in range(1, 3):
            await until_well(driver.ping)
            lost = item(scope, await tip_now(driver, scope), [b"lost", b"lost"], puts=[state(number)])
            proxy.swallow_replies()
            async with asyncio.timeout(PATIENCE_SECONDS):
                assert await outcome_or_unknown(driver, lost) is Outcome.UNKNOWN
            proxy.resume()
            await until_well(driver.ping)
            assert await outcome_or_unknown(driver, lost) in (Outcome.APPENDED, Outcome.CONFLICT)
            loaded = await driver.load(scope, [RowKind.STATE])
            assert (loaded.tip, list(loaded.rows)) == (tip_of(lost), [state(number)])
        assert [record.seq for record in await store.driver.records(scope, 0, 100)] == [1, 2, 3, 4]


async def test_an_append_that_a_frozen_server_held_is_whole_or_absent(store: Store) -> None:
    """append: UNKNOWN: it may still be applied, late: then whole, and only where the journal still ends at `after`."""
    async with relayed(store) as (driver, proxy):
        scope = store.user()
        for number in range(1, 3):
            await until_well(driver.ping)
            held = item(scope, await tip_now(driver, scope), [b"1", b"2"], puts=[state(number * 10)])
            proxy.pause()
            assert await outcome_or_unknown(driver, held) is Outcome.UNKNOWN
            rival = item(scope, held.after, puts=[state(number)])
            assert await outcome_or_unknown(store.driver, rival) is Outcome.APPENDED
            proxy.resume()
            await until_well(driver.ping)
            loaded = await driver.load(scope, [RowKind.STATE])
            assert (loaded.tip, list(loaded.rows)) == (tip_of(rival), [state(number)])
        assert [record.seq for record in await store.driver.records(scope, 0, 100)] == [1, 2]


async def _append_from_now(store: Store, driver: Driver, scope: Scope) -> _Fate:
    tip = await until_well(lambda: tip_now(store.driver, scope))
    appended = item(scope, tip, puts=[state(tip.seq + 1)])
    return appended, await outcome_or_unknown(driver, appended)


async def _load(driver: Driver, scope: Scope) -> None:
    with suppress(StorageUnavailable):
        loaded = await driver.load(scope, [RowKind.STATE])
        assert list(loaded.rows) == ([state(loaded.tip.seq)] if loaded.tip.seq else [])


async def _assert_true(store: Store, scope: Scope, fates: list[_Fate]) -> None:
    records = await store.driver.records(scope, 0, 1_000)
    assert [record.seq for record in records] == list(range(1, len(records) + 1))
    kept = {record.nonce for record in records}
    for appended, outcome in fates:
        if appended.scope == scope and outcome is not Outcome.UNKNOWN:
            assert (appended.records[0].nonce in kept) == (outcome is Outcome.APPENDED)
    loaded = await store.driver.load(scope, [RowKind.STATE])
    assert list(loaded.rows) == ([state(len(records))] if records else [])
