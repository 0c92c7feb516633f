"""Clocks that disagree: a driver compares the times it is given, and has none of its own."""

from __future__ import annotations

import time
from contextlib import AsyncExitStack

from memsvc.storage.conformance.items import (
    Journal,
    applied,
    by_key,
    due_in,
    item,
    memory,
    record,
    request,
    run,
    state,
)
from memsvc.storage.conformance.processes import started
from memsvc.storage.conformance.store import Store
from memsvc.storage.driver import EMPTY, Append, Due, Record, RowKind, Tip

_TEN_MINUTES = 600_000_000
_FAR = (1, _TEN_MINUTES, 2**62)
"""Microseconds: just after the epoch, and long after everybody is gone."""


async def test_due_compares_the_times_it_is_given(store: Store) -> None:
    """due: set and not after `before`, by whatever clock the asker has: ten minutes ahead, behind, or ages away."""
    now = time.time_ns() // 1_000
    times = sorted((*_FAR, now - _TEN_MINUTES, now - 1, now, now + 1, now + _TEN_MINUTES))
    scopes = {stamp: store.user(f"due {stamp}") for stamp in times}
    await applied(store.driver, *(item(scope, EMPTY, due=stamp) for stamp, scope in scopes.items()))
    for before in times:
        expected = [Due(scopes[stamp], stamp) for stamp in times if stamp <= before]
        assert await due_in(store.driver, store.namespace, before) == expected
        assert await due_in(store.driver, store.namespace, before - 1) == expected[:-1]


async def test_order_is_by_seq_whatever_the_clocks_say(store: Store) -> None:
    """records: with seq > `after`, in order, though each writer's clock is ten minutes off the one's before."""
    scope, tip = store.user(), EMPTY
    written: list[Record] = []
    now = time.time_ns() // 1_000
    for number in range(10):
        stamp = now + (_TEN_MINUTES if number % 2 else -_TEN_MINUTES) - number
        appended = Append(scope=scope, after=tip, records=[record(number + 1, time_microseconds=stamp)])
        await applied(store.driver, appended)
        tip = Tip(number + 1, appended.records[-1].nonce)
        written += appended.records
    assert list(await store.driver.records(scope, 0, 100)) == written
    assert list(await store.driver.records(scope, 4, 3)) == written[4:7]
    assert list(await store.driver.tips([scope])) == [tip]


async def test_nothing_is_dropped_because_it_is_old(store: Store) -> None:
    """Row: rows and records stay until an append or truncation takes them, however long ago they ended being kept."""
    journal = store.journal()
    rows = [*(request(f"q{stamp}", stamp) for stamp in _FAR), memory("m1"), run("r1", 1), state(1)]
    old = [record(1, time_microseconds=0), record(2, time_microseconds=1)]
    appended = Append(scope=journal.scope, after=EMPTY, records=old, puts=rows, due=1)
    await applied(store.driver, appended)
    journal.tip = Tip(2, old[-1].nonce)
    await journal.append(due=1)
    loaded = await store.driver.load(journal.scope, list(RowKind))
    assert (loaded.tip, by_key(loaded.rows)) == (journal.tip, by_key(rows))
    assert list(await store.driver.records(journal.scope, 0, 2)) == old
    assert await due_in(store.driver, store.namespace, 1) == [Due(journal.scope, 1)]


async def test_processes_ten_minutes_apart_share_a_store(store: Store) -> None:
    """append: exactly one winner per tip, and every append seen, though processes' clocks are ten minutes apart."""
    store.need_shared()
    scope = store.user()
    async with AsyncExitStack() as stack:
        workers = [
            await stack.enter_async_context(started(store.place, clock_offset_seconds=offset)) for offset in (-600, 600)
        ]
        for worker in workers:
            await worker.ask(do="open")
        for worker in workers:
            await worker.tell(do="append", namespace=scope.namespace, user_id=scope.user_id, count=20)
        theirs = [Tip(**await worker.answer()) for worker in workers for _ in range(20)]
    journal = Journal(store.driver, scope, max(theirs))
    await journal.append()
    records = await store.driver.records(scope, 0, 1_000)
    assert [Tip(record.seq, record.nonce) for record in records] == [*sorted(theirs), journal.tip]
    times = [record.time for record in records]
    assert max(times) - min(times) > _TEN_MINUTES
