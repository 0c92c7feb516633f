"""Sharing: several drivers, and several processes, on one store."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

from memsvc.storage.conformance.bench import Skipped
from memsvc.storage.conformance.items import Journal, item, memory, outcome_of, state, tip_now, tip_of
from memsvc.storage.conformance.processes import started
from memsvc.storage.conformance.store import Store
from memsvc.storage.driver import EMPTY, Driver, Outcome, RowKind, Tip


async def test_tips_see_every_acknowledged_append(store: Store) -> None:
    """tips: MUST see every append that was acknowledged, by any process, before the call."""
    second = await store.second()
    journal = store.journal()
    marks = [driver.capabilities().commits_mark for driver in (store.driver, second)]
    for number in range(store.scaled(60)):
        before = [mark() if mark is not None else b"" for mark in marks]
        journal.driver = (store.driver, second)[number % 2]
        reader = (second, store.driver)[number % 2]
        appended = await journal.append(puts=[state(number)])
        assert all(mark is None or not old or mark() != old for mark, old in zip(marks, before, strict=True))
        assert await tip_now(reader, journal.scope) == journal.tip
        loaded = await reader.load(journal.scope, [RowKind.STATE])
        assert (loaded.tip, list(loaded.rows)) == (journal.tip, [state(number)])
        assert list(await reader.records(journal.scope, number, 10)) == list(appended.records)


async def test_two_drivers_append_to_one_user(store: Store) -> None:
    """append: of two drivers at one tip one wins; the other catches up and goes on."""
    scope = store.user()
    drivers = (store.driver, await store.second())
    won = await asyncio.gather(*(_append_often(driver, scope.user_id, store, 40) for driver in drivers))
    records = await store.driver.records(scope, 0, 1_000)
    assert [record.seq for record in records] == list(range(1, 81))
    assert {Tip(record.seq, record.nonce) for record in records} == {*won[0], *won[1]}


async def test_a_second_driver_sees_erase_and_truncation(store: Store) -> None:
    """append, truncate: what one driver erased or forgot is gone for all."""
    second = await store.second()
    journal = store.journal()
    await journal.append([b"1", b"2", b"3"], puts=[memory("m1")])
    assert len((await second.load(journal.scope, [RowKind.MEMORY])).rows) == 1
    await store.driver.truncate(journal.scope, 3)
    assert [record.seq for record in await second.records(journal.scope, 2, 10)] == [3]
    await journal.append(erases=True)
    assert list((await second.load(journal.scope, [RowKind.MEMORY])).rows) == []
    assert list(await second.users(store.namespace, "", 1)) == []
    assert await outcome_of(second, item(journal.scope, EMPTY)) is Outcome.CONFLICT


async def test_closing_one_driver_leaves_the_other(store: Store) -> None:
    """close: frees what is this driver's, and nothing of another on the same store."""
    second = await store.second()
    journal = store.journal()
    await journal.append()
    await second.close()
    await store.driver.ping()
    await journal.append()
    third = await store.open()
    assert await tip_now(third, journal.scope) == journal.tip


async def test_processes_append_to_one_user(store: Store) -> None:
    """append: exactly one winner per tip, also among processes; every one sees what the others appended."""
    store.need_shared()
    scope = store.user()
    async with AsyncExitStack() as stack:
        workers = [await stack.enter_async_context(started(store.place)) for _ in range(2)]
        for worker in workers:
            await worker.ask(do="open")
        for worker in workers:
            await worker.tell(do="append", namespace=scope.namespace, user_id=scope.user_id, count=40)
        own = await _append_often(store.driver, scope.user_id, store, 40)
        theirs = [Tip(**await worker.answer()) for worker in workers for _ in range(40)]
    records = await store.driver.records(scope, 0, 1_000)
    assert [record.seq for record in records] == list(range(1, 121))
    assert {Tip(record.seq, record.nonce) for record in records} == {*own, *theirs}
    assert await tip_now(store.driver, scope) == Tip(120, records[-1].nonce)


async def test_generation_rises_when_alone(store: Store) -> None:
    """generation: how often this store was opened by a process that knew to be alone on it."""
    if store.driver.generation == 0:
        raise Skipped("the driver never knows that it is alone")
    async with store.scratch() as place:
        generations = []
        for _ in range(3):
            driver = place.connect()
            await driver.open()
            generations.append(driver.generation)
            await driver.close()
        assert generations == sorted(set(generations))
        assert generations[0] > 0


async def test_generation_stays_while_others_are_there(store: Store) -> None:
    """generation: claims of an older one are void, so it must not rise while another process may hold some."""
    if store.driver.generation == 0:
        raise Skipped("the driver never knows that it is alone")
    store.need_shared()
    async with store.scratch() as place:
        async with started(place) as other:
            held = (await other.ask(do="open"))["generation"]
            driver = place.connect()
            await driver.open()
            assert driver.generation == held
            await driver.close()
        alone = place.connect()
        await alone.open()
        assert alone.generation > held
        await alone.close()


async def test_hints_report_what_others_append(store: Store) -> None:
    """hints: yield users whose journals moved; None: any may have. MAY miss some: so it is appended until one comes."""
    hints = store.capabilities.hints
    if not hints.supported:
        raise Skipped(f"no hints: {hints.reason}")
    journal = Journal(await store.second(), store.user())
    moved = asyncio.ensure_future(_wait_for_hint(store.driver, journal))
    try:
        while not moved.done():
            await journal.append()
            await asyncio.wait([moved], timeout=0.1)
        await moved
    finally:
        moved.cancel()


async def _append_often(driver: Driver, user_id: str, store: Store, count: int) -> list[Tip]:
    scope = store.user(user_id)
    won: list[Tip] = []
    while len(won) < count:
        appended = item(scope, await tip_now(driver, scope), puts=[state(len(won))])
        if await outcome_of(driver, appended) is Outcome.APPENDED:
            won.append(tip_of(appended))
        await asyncio.sleep(0)
    return won


async def _wait_for_hint(driver: Driver, journal: Journal) -> None:
    async for scope in driver.hints():
        if scope in (None, journal.scope):
            return
