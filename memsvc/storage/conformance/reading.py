"""Reading: tips, loads that are never torn, the journal's tail, pages of rows."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from memsvc.storage.conformance.items import Journal, applied, ids, item, memory, run, state, tip_of
from memsvc.storage.conformance.store import Store
from memsvc.storage.driver import EMPTY, Driver, PageOf, Row, RowKey, RowKind


async def test_tips_come_in_the_order_asked_for(store: Store) -> None:
    """tips: in the order given; EMPTY for a user without a journal."""
    sarah, ava = store.journal("sarah"), store.journal("ava")
    await sarah.append()
    await ava.append([b"1", b"2"])
    nobody = store.user("nobody")
    asked = [ava.scope, nobody, sarah.scope, ava.scope]
    assert list(await store.driver.tips(asked)) == [ava.tip, EMPTY, sarah.tip, ava.tip]
    assert list(await store.driver.tips([])) == []


async def test_tips_of_many_users(store: Store) -> None:
    """tips: of as many users as wait."""
    scopes = store.crowd(store.scaled(1_500))
    batch = [item(scope, EMPTY) for scope in scopes[::3]]
    await applied(store.driver, *batch)
    written = {appended.scope: tip_of(appended) for appended in batch}
    assert list(await store.driver.tips(scopes)) == [written.get(scope, EMPTY) for scope in scopes]


async def test_a_read_sees_the_append_before_it(store: Store) -> None:
    """tips: MUST see every append that was acknowledged before the call; so do load and records."""
    journal = store.journal()
    for number in range(store.scaled(50)):
        appended = await journal.append(puts=[state(number)])
        [tip], loaded, records = await asyncio.gather(
            store.driver.tips([journal.scope]),
            store.driver.load(journal.scope, [RowKind.STATE]),
            store.driver.records(journal.scope, number, 10),
        )
        assert (tip, loaded.tip, list(loaded.rows)) == (journal.tip, journal.tip, [state(number)])
        assert list(records) == list(appended.records)


async def test_a_load_during_appends_is_never_torn(store: Store) -> None:
    """load: MUST be one consistent read."""
    drivers = await store.several()
    journal = store.journal()
    await journal.append(puts=_marked(1))
    writing = asyncio.ensure_future(_keep_marking(journal, store.scaled(150, least=30)))
    seen = await asyncio.gather(*(_load_while(driver, journal, writing) for driver in drivers * 2))
    await writing
    assert all(seqs == sorted(seqs) for seqs in seen)
    assert all(seqs[-1] <= journal.tip.seq for seqs in seen)


async def test_records_are_read_after_and_up_to_a_limit(store: Store) -> None:
    """records: return at most `limit` records with seq > `after`, in order."""
    journal = store.journal()
    written = (await journal.append([str(number).encode() for number in range(1, 26)])).records
    for after, limit in ((0, 25), (0, 100), (0, 1), (7, 5), (24, 5), (25, 5), (1_000, 5), (10, 15)):
        assert list(await store.driver.records(journal.scope, after, limit)) == list(written[after : after + limit])


async def test_rows_are_read_in_order_of_position(store: Store) -> None:
    """rows: ordered by position: of one group, or of all; `after` and `before` are exclusive."""
    journal = store.journal()
    runs = [run(f"r{index}", index * 10, session="odd" if index % 2 else "even") for index in range(1, 13)]
    await journal.append(puts=[*runs[::-1], memory("m1", position=30)])

    async def page(**asked: object) -> list[int]:
        found = await store.driver.rows(PageOf(journal.scope, RowKind.RUN, **asked))  # type: ignore[arg-type]
        assert all(row in runs for row in found)
        return [row.position // 10 for row in found]

    assert await page(limit=100) == list(range(1, 13))
    assert await page(descending=True, limit=100) == list(range(12, 0, -1))
    assert await page(group="odd", limit=100) == [1, 3, 5, 7, 9, 11]
    assert await page(group="even", descending=True, limit=2) == [12, 10]
    assert await page(after=40, limit=3) == [5, 6, 7]
    assert await page(before=40, limit=100) == [1, 2, 3]
    assert await page(before=40, descending=True, limit=2) == [3, 2]
    assert await page(after=35, before=61, limit=100) == [4, 5, 6]
    assert await page(after=20, before=70, descending=True, limit=2) == [6, 5]
    assert await page(group="odd", after=30, before=110, limit=100) == [5, 7, 9]
    assert await page(group="odd", after=30, before=110, descending=True, limit=1) == [9]
    assert await page(after=120, limit=100) == []
    assert await page(before=10, limit=100) == []
    assert await page(after=70, before=80, limit=100) == []
    assert await page(group="neither", limit=100) == []
    assert await page(group="", limit=100) == []


async def test_a_page_goes_on_where_its_edge_is_gone(store: Store) -> None:
    """rows: `after` and `before` are positions: no row needs to be there."""
    journal = store.journal()
    await journal.append(puts=[run(f"r{index}", index) for index in range(1, 21)])
    await journal.append(deletes=[RowKey(RowKind.RUN, f"r{index}") for index in (5, 15)])
    later = await store.driver.rows(PageOf(journal.scope, RowKind.RUN, after=5, limit=3))
    earlier = await store.driver.rows(
        PageOf(journal.scope, RowKind.RUN, group="s1", before=15, descending=True, limit=3)
    )
    assert (ids(later), ids(earlier)) == (["r6", "r7", "r8"], ["r14", "r13", "r12"])


async def test_pages_are_stable_under_writes(store: Store) -> None:
    """rows: MUST keep order and miss nothing that does not change while paging."""
    drivers = await store.several()
    journal = store.journal()
    await journal.append(puts=[run(f"r{index}", index) for index in range(1, 301)])
    writing = asyncio.ensure_future(_keep_changing(journal, store.scaled(100, least=20)))
    walks = [_walk_while(driver, journal, writing, descending=down) for driver in drivers for down in (False, True)]
    await asyncio.gather(*walks)
    await writing


async def test_a_user_with_ten_thousand_memories_loads_whole(store: Store) -> None:
    """load: all rows, also of a user at the default quota; one that changes is read so, the others as before."""
    journal = store.journal()
    count = store.scaled(10_000)
    memories = [memory(f"m{number}", f"Fact number {number}", position=number) for number in range(1, count + 1)]
    for start in range(0, count, 1_000):
        await journal.append(puts=memories[start : start + 1_000])
    assert await _memories(store.driver, journal) == memories
    middle = count // 2
    memories[middle] = memory(f"m{middle + 1}", "Another fact", position=middle + 1)
    await journal.append(puts=[memories[middle]], deletes=[RowKey(RowKind.MEMORY, memories.pop().row_id)])
    assert await _memories(store.driver, journal) == memories
    page = await store.driver.rows(PageOf(journal.scope, RowKind.MEMORY, after=middle - 1, limit=3))
    assert list(page) == memories[middle - 1 : middle + 2]


async def _memories(driver: Driver, journal: Journal) -> list[Row]:
    loaded = await driver.load(journal.scope, [RowKind.STATE, RowKind.MEMORY])
    assert loaded.tip == journal.tip
    return sorted(loaded.rows, key=lambda row: row.position)


def _marked(seq: int) -> list[Row]:
    marks = [memory(name, str(seq), position=seq * 2 + place) for place, name in enumerate(("first", "second"))]
    return [state(seq), *marks, run(f"only-{seq}", seq)]


async def _keep_marking(journal: Journal, count: int) -> None:
    for _ in range(count):
        seq = journal.tip.seq + 1
        await journal.append(puts=_marked(seq), deletes=[RowKey(RowKind.RUN, f"only-{seq - 1}")])
        await asyncio.sleep(0)


async def _load_while(driver: Driver, journal: Journal, writing: asyncio.Future[None]) -> list[int]:
    seqs = []
    ended = False
    while not ended:
        ended = writing.done()
        loaded = await driver.load(journal.scope, [RowKind.STATE, RowKind.MEMORY, RowKind.RUN])
        marks = sorted(loaded.rows, key=lambda row: (list(RowKind).index(row.kind), row.row_id))
        assert marks == _marked(loaded.tip.seq)
        seqs.append(loaded.tip.seq)
        await asyncio.sleep(0)
    return seqs


async def _keep_changing(journal: Journal, count: int) -> None:
    for step in range(1, count + 1):
        row = run(f"r{step * 3}", step * 3, text="changed")
        gone = [RowKey(RowKind.RUN, row.row_id)] if step % 2 else []
        await journal.append(puts=[run(f"new-{step}", 300 + step), *([] if gone else [row])], deletes=gone)
        await asyncio.sleep(0)


async def _walk_while(driver: Driver, journal: Journal, writing: asyncio.Future[None], *, descending: bool) -> None:
    """Page through all runs, over and over while every third of them changes."""
    steady = [index for index in range(1, 301) if index % 3]
    ended = False
    while not ended:
        ended = writing.done()
        found: list[Row] = []
        while page := await _page(driver, journal, found, descending=descending):
            found += page
            await asyncio.sleep(0)
        positions = [row.position for row in found]
        assert positions == sorted(set(positions), reverse=descending)
        assert sorted(set(positions).intersection(steady)) == steady


async def _page(driver: Driver, journal: Journal, found: list[Row], *, descending: bool) -> Sequence[Row]:
    edge = found[-1].position if found else None
    after, before = (None, edge) if descending else (edge, None)
    return await driver.rows(
        PageOf(journal.scope, RowKind.RUN, group="s1", after=after, before=before, descending=descending, limit=20)
    )
