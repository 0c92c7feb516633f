"""Callers that go away, and many that come at once: nobody gets another's reply, and the driver goes on."""

from __future__ import annotations

import asyncio
import random
from functools import partial

from memsvc.model import Scope
from memsvc.storage.conformance.calls import Call
from memsvc.storage.conformance.items import applied, by_key, item, memory, outcome_of, run, state, tip_now, tip_of
from memsvc.storage.conformance.store import Store
from memsvc.storage.driver import EMPTY, Driver, Outcome, PageOf, Row, RowKind

_ALL = list(RowKind)


async def test_cancelled_calls_leave_the_driver_usable(store: Store) -> None:
    """Driver: shared by all tasks: one that is cancelled in a call spoils no connection for the others."""
    chance = random.Random(11)
    scopes = store.crowd(10)
    await applied(store.driver, *(item(scope, EMPTY, puts=_own(scope)) for scope in scopes))
    for _ in range(store.scaled(100)):
        left = [asyncio.ensure_future(_call_of(store.driver, scope, chance)()) for scope in chance.sample(scopes, 3)]
        async with asyncio.TaskGroup() as staying:
            for scope in chance.sample(scopes, 2):
                staying.create_task(_check(store.driver, scope))
            await asyncio.sleep(chance.choice((0, 0, 0.0005, 0.002, 0.005)))
            for call in left:
                call.cancel()
            await asyncio.gather(*left, return_exceptions=True)
    await asyncio.gather(*(_check(store.driver, scope) for scope in scopes * 5))
    for scope in scopes:
        tip = await tip_now(store.driver, scope)
        assert [record.seq for record in await store.driver.records(scope, 0, 1_000)] == list(range(1, tip.seq + 1))


async def test_two_hundred_calls_at_once(store: Store) -> None:
    """Driver: shared by all tasks of a process: each of many calls at once gets its own answer."""
    scopes = store.crowd(store.scaled(100, least=25))
    batch = [item(scope, EMPTY, puts=_own(scope)) for scope in scopes]
    outcomes = await asyncio.gather(*(outcome_of(store.driver, appended) for appended in batch))
    assert list(outcomes) == [Outcome.APPENDED] * len(batch)
    later = [item(scope, tip_of(first)) for scope, first in zip(scopes, batch, strict=True)]
    calls = [partial(outcome_of, store.driver, appended) for appended in later]
    checks = [partial(_check, store.driver, scope) for scope in scopes]
    found = await asyncio.gather(*(call() for pair in zip(calls, checks, strict=True) for call in pair))
    assert found[::2] == [Outcome.APPENDED] * len(later)
    assert list(await store.driver.tips(scopes)) == [tip_of(appended) for appended in later]


def _own(scope: Scope) -> list[Row]:
    """Return rows that tell whose they are."""
    return [memory("m1", f"of {scope.user_id}"), run("r1", 1, text=f"of {scope.user_id}"), state(1)]


def _call_of(driver: Driver, scope: Scope, chance: random.Random) -> Call:
    calls: list[Call] = [
        partial(_append_now, driver, scope),
        partial(driver.load, scope, _ALL),
        partial(driver.tips, [scope]),
        partial(driver.rows, PageOf(scope, RowKind.RUN, limit=10)),
        partial(driver.records, scope, 0, 10),
    ]
    return chance.choice(calls)


async def _append_now(driver: Driver, scope: Scope) -> None:
    await driver.append([item(scope, await tip_now(driver, scope), puts=_own(scope))])


async def _check(driver: Driver, scope: Scope) -> None:
    """Read what is this user's in several ways."""
    before = await tip_now(driver, scope)
    loaded = await driver.load(scope, _ALL)
    assert loaded.tip.seq >= before.seq >= 1
    assert by_key(loaded.rows) == by_key(_own(scope))
    assert list(await driver.rows(PageOf(scope, RowKind.RUN, limit=10))) == [_own(scope)[1]]
    assert await driver.get(scope, RowKind.MEMORY, ["m1"]) == {"m1": _own(scope)[0]}
