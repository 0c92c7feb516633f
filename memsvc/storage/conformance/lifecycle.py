"""Life: before open, after close, across a reopening and a crash of the process."""

from __future__ import annotations

import asyncio

from memsvc.errors import StorageUnavailable
from memsvc.model import Scope
from memsvc.storage.conformance.calls import every_call, refuses
from memsvc.storage.conformance.items import (
    Journal,
    by_key,
    due_in,
    item,
    memory,
    request,
    run,
    state,
    tip_now,
    tip_of,
)
from memsvc.storage.conformance.processes import started
from memsvc.storage.conformance.store import Store
from memsvc.storage.conformance.truncation import first_kept
from memsvc.storage.driver import EMPTY, Driver, Due, Outcome, RowKind, Tip


async def test_use_before_open(store: Store) -> None:
    """Driver: every operation but `open` MUST raise StorageUnavailable before `open`."""
    assert await _usable(store.place.connect(), store.user()) == []


async def test_use_after_close(store: Store) -> None:
    """Driver: every operation but `open` MUST raise StorageUnavailable after `close`."""
    journal = store.journal()
    await journal.append()
    await store.driver.close()
    assert await _usable(store.driver, journal.scope) == []


async def test_close_twice(store: Store) -> None:
    """close: a second call does nothing; nor does one before `open`."""
    unopened = store.place.connect()
    await unopened.close()
    await store.journal().append()
    await store.driver.close()
    await store.driver.close()
    await asyncio.gather(store.driver.close(), store.driver.close())


async def test_close_finishes_what_was_handed_over(store: Store) -> None:
    """close: finish what was handed over, then free everything."""
    scopes = store.crowd(32)
    batch = [item(scope, EMPTY, puts=[state(1)]) for scope in scopes]
    calls = [asyncio.ensure_future(store.driver.append([appended])) for appended in batch]
    await asyncio.sleep(0)
    await store.driver.close()
    assert [list(outcomes) for outcomes in await asyncio.gather(*calls)] == [[Outcome.APPENDED]] * len(batch)
    driver = await store.reopen()
    assert list(await driver.tips(scopes)) == [tip_of(appended) for appended in batch]


async def test_close_leaves_no_call_waiting(store: Store) -> None:
    """close: calls that arrive while it closes end, with a result or StorageUnavailable."""
    journal = store.journal()
    await journal.append(puts=[state(1)])
    calls: list[asyncio.Future[object]] = []
    closing = asyncio.ensure_future(store.driver.close())
    for scope in store.crowd(16):
        calls.append(asyncio.ensure_future(store.driver.append([item(scope, EMPTY)])))
        calls.append(asyncio.ensure_future(store.driver.load(journal.scope, [RowKind.STATE])))
        calls.append(asyncio.ensure_future(store.driver.tips([journal.scope])))
        await asyncio.sleep(0)
    await closing
    for reply in await asyncio.gather(*calls, return_exceptions=True):
        assert not isinstance(reply, BaseException) or isinstance(reply, StorageUnavailable)


async def test_ping_answers(store: Store) -> None:
    """ping: return if the database answers."""
    await store.driver.ping()


async def test_every_absent_capability_says_why(store: Store) -> None:
    """capabilities: each with a reason where it is absent."""
    found = store.driver.capabilities()
    for capability in (found.durable, found.failover, found.shared, found.hints):
        assert capability.supported or capability.reason
    assert found.durable.supported or not found.failover.supported
    assert found.concurrent_batches >= 1


async def test_acknowledged_appends_survive_reopening(store: Store) -> None:
    """append: MUST be durable on return where capabilities say so: records, rows, due, floor, what was erased."""
    store.need_durable()
    kept, erased = store.journal("kept"), store.journal("erased")
    rows = [state(3), memory("m1"), run("r1", 1), request("q1", 5)]
    await kept.append([b"1", b"2"])
    last = await kept.append([b"3"], puts=rows, due=9)
    await erased.append(puts=[*rows], due=9)
    await erased.append(puts=[state(2)], erases=True)
    await store.driver.truncate(kept.scope, 3)
    driver = await store.reopen()
    loaded = await driver.load(kept.scope, list(RowKind))
    assert (loaded.tip, by_key(loaded.rows)) == (kept.tip, by_key(rows))
    assert list(await driver.records(kept.scope, 2, 10)) == list(last.records)
    assert await first_kept(driver, kept.scope, 0) == 3
    assert by_key((await driver.load(erased.scope, list(RowKind))).rows) == by_key([state(2), request("q1", 5)])
    assert await first_kept(driver, erased.scope, 0) == 2
    assert list(await driver.users(store.namespace, "", 10)) == ["kept"]
    assert await due_in(driver, store.namespace, 9) == [Due(kept.scope, 9)]
    await Journal(driver, kept.scope, kept.tip).append()


async def test_acknowledged_appends_survive_kill(store: Store) -> None:
    """append: MUST be durable on return where capabilities say so: the process may be killed right after."""
    store.need_durable()
    store.need_shared()
    scope = store.user()
    async with started(store.place) as worker:
        await worker.ask(do="open")
        await worker.tell(do="append", namespace=scope.namespace, user_id=scope.user_id, count=1_000_000)
        acknowledged = [Tip(**await worker.answer()) for _ in range(100)]
        acknowledged += [Tip(**answer) for answer in await worker.kill()]
    loaded = await store.driver.load(scope, [RowKind.STATE])
    assert loaded.tip.seq in (len(acknowledged), len(acknowledged) + 1)
    assert list(loaded.rows) == [state(loaded.tip.seq)]
    records = await store.driver.records(scope, 0, loaded.tip.seq)
    assert [Tip(record.seq, record.nonce) for record in records][: len(acknowledged)] == acknowledged
    await Journal(store.driver, scope, loaded.tip).append()
    assert (await tip_now(store.driver, scope)).seq == loaded.tip.seq + 1


async def _usable(driver: Driver, scope: Scope) -> list[str]:
    """Return the operations that do not refuse to work."""
    calls = {**every_call(driver, scope), "hints": lambda: anext(driver.hints())}
    return [name for name, call in calls.items() if not await refuses(call)]
