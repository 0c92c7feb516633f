"""Racing: many appends at once, over the same users, and callers that go away."""

from __future__ import annotations

import asyncio
import random

from memsvc.model import Scope
from memsvc.storage.conformance.items import item, outcome_of, state, tip_of
from memsvc.storage.conformance.store import Store
from memsvc.storage.driver import Driver, Outcome, RowKind, Tip


async def test_of_sixteen_appends_at_one_tip_one_wins(store: Store) -> None:
    """append: applied if the journal *still* ends at `after`: of many at once exactly one, whole."""
    drivers = await store.several()
    journal = store.journal()
    for _ in range(8):
        rivals = [item(journal.scope, journal.tip, puts=[state(number)]) for number in range(16)]
        outcomes = await asyncio.gather(*(drivers[n % len(drivers)].append([rivals[n]]) for n in range(16)))
        assert sorted(outcome.value for [outcome] in outcomes) == ["appended", *["conflict"] * 15]
        [winner] = [rival for rival, [outcome] in zip(rivals, outcomes, strict=True) if outcome is Outcome.APPENDED]
        loaded = await store.driver.load(journal.scope, [RowKind.STATE])
        assert (loaded.tip, list(loaded.rows)) == (tip_of(winner), list(winner.puts))
        journal.tip = loaded.tip
    assert [record.seq for record in await store.driver.records(journal.scope, 0, 100)] == list(range(1, 9))


async def test_groups_over_the_same_users_never_deadlock_or_starve(store: Store) -> None:
    """append: batches over the same users, in any order, all end, and every writer gets its turn."""
    drivers = await store.several()
    scopes = store.crowd(store.scaled(12, least=4))
    wins = await asyncio.gather(*(_append_to_all(drivers[n % len(drivers)], scopes, n) for n in range(8)))
    for scope in scopes:
        records = await store.driver.records(scope, 0, 1_000)
        assert [record.seq for record in records] == list(range(1, 8 * _WINS + 1))
        won = [nonce for of_writer in wins for nonce in of_writer[scope]]
        assert sorted(record.nonce for record in records) == sorted(won)


async def test_a_cancelled_append_is_whole_or_absent(store: Store) -> None:
    """append: an item whose caller went away is applied whole or not at all, and the journal goes on."""
    journal = store.journal()
    await journal.append(puts=[state(1)])
    for number in range(store.scaled(40)):
        abandoned = item(journal.scope, journal.tip, puts=[state(journal.tip.seq + 1)])
        call = asyncio.ensure_future(store.driver.append([abandoned]))
        for _ in range(number % 5):
            await asyncio.sleep(0)
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
        journal.tip = await _append_until_applied(store.driver, journal.scope)
        assert journal.tip.seq in (abandoned.after.seq + 1, abandoned.after.seq + 2)
    records = await store.driver.records(journal.scope, 0, 1_000)
    assert [record.seq for record in records] == list(range(1, journal.tip.seq + 1))


_WINS = 4


async def _append_to_all(driver: Driver, scopes: list[Scope], seed: int) -> dict[Scope, list[str]]:
    chance = random.Random(seed)
    won: dict[Scope, list[str]] = {scope: [] for scope in scopes}
    for _ in range(1_000):
        wanting = [scope for scope in scopes if len(won[scope]) < _WINS]
        if not wanting:
            return won
        chance.shuffle(wanting)
        tips = await driver.tips(wanting)
        batch = [item(scope, tip) for scope, tip in zip(wanting, tips, strict=True)]
        for appended, outcome in zip(batch, await driver.append(batch), strict=True):
            assert outcome in (Outcome.APPENDED, Outcome.CONFLICT)
            if outcome is Outcome.APPENDED:
                won[appended.scope].append(appended.records[-1].nonce)
        await asyncio.sleep(0)
    raise AssertionError("a writer starved: 1,000 rounds were not enough")


async def _append_until_applied(driver: Driver, scope: Scope) -> Tip:
    for _ in range(100):
        loaded = await driver.load(scope, [RowKind.STATE])
        assert list(loaded.rows) == [state(loaded.tip.seq)]
        following = item(scope, loaded.tip, puts=[state(loaded.tip.seq + 1)])
        if await outcome_of(driver, following) is Outcome.APPENDED:
            return tip_of(following)
    raise AssertionError("the journal does not come to rest after a cancelled append")
