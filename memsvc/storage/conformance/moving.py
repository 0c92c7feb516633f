"""Moving house: a copied user is the same, and half a copy is none."""

from __future__ import annotations

import msgspec

from memsvc.model import Scope
from memsvc.storage.conformance.items import (
    Journal,
    applied,
    by_key,
    due_in,
    extraction,
    ids,
    item,
    memory,
    outcome_of,
    request,
    run,
    session,
    state,
    tip_now,
    tip_of,
)
from memsvc.storage.conformance.store import Store
from memsvc.storage.conformance.truncation import first_kept
from memsvc.storage.driver import EMPTY, Append, Driver, Due, Outcome, PageOf, Row, RowKey, RowKind, Tip


async def test_a_copied_user_is_the_same(store: Store) -> None:
    """seed: rows first, then the records in appends after EMPTY; what is read of the copy is what the source says."""
    for kept_from in (1, 7):
        source = await _lived(store, f"source-{kept_from}", kept_from)
        copy = store.user(f"copy-{kept_from}")
        await _copy(store.driver, source, copy, kept_from)
        await _assert_same(store.driver, source, copy)
        assert await first_kept(store.driver, copy, 0) == (kept_from if kept_from > 1 else 0)
        moved = Journal(store.driver, copy, source.tip)
        older = await store.driver.records(copy, kept_from - 1, 2)
        for stale in (EMPTY, *(Tip(record.seq, record.nonce) for record in older)):
            assert await outcome_of(store.driver, item(copy, stale)) is Outcome.CONFLICT
        await moved.append(puts=[state(99)], deletes=[RowKey(RowKind.MEMORY, "m1")])
        await store.driver.truncate(copy, 9)
        assert await first_kept(store.driver, copy, kept_from) == 9


async def test_a_copied_user_survives_reopening(store: Store) -> None:
    """seed: MUST be as durable as an append."""
    store.need_durable()
    source = await _lived(store, "source", 7)
    copy = store.user("copy")
    await _copy(store.driver, source, copy, 7)
    cut = store.user("cut")
    await store.driver.seed(cut, [memory("m1"), run("r1", 1)], afresh=True)
    source.driver = await store.reopen()
    await _assert_same(source.driver, source, copy)
    await Journal(source.driver, cut).append(puts=[state(1)])
    rows = (await source.driver.load(cut, list(RowKind))).rows
    assert by_key(rows) == by_key([memory("m1"), run("r1", 1), state(1)])


async def test_what_is_seeded_shows_with_the_first_record(store: Store) -> None:
    """seed: a user whose copy was cut off shows as one without a journal."""
    scope, rows = store.user(), [memory("m1"), run("r1", 1), session("s1", 1), request("q1", 1)]
    for afresh in (True, False):
        await store.driver.seed(scope, rows, afresh=afresh)
        loaded = await store.driver.load(scope, list(RowKind))
        assert (await tip_now(store.driver, scope), loaded.tip, list(loaded.rows)) == (EMPTY, EMPTY, [])
        assert list(await store.driver.records(scope, 0, 10)) == []
        assert list(await store.driver.users(store.namespace, "", 10)) == []
        assert await due_in(store.driver, store.namespace, 2**62) == []
    await Journal(store.driver, scope).append(puts=[state(1)])
    assert by_key((await store.driver.load(scope, list(RowKind))).rows) == by_key([*rows, state(1)])
    assert list(await store.driver.users(store.namespace, "", 10)) == ["sarah"]


async def test_seeding_afresh_drops_what_was_seeded(store: Store) -> None:
    """seed: `afresh` deletes what was seeded before; without it rows are put beside and over those there."""
    scope = store.user()
    await store.driver.seed(
        scope, [memory("old"), memory("both", "old"), run("old", 1), request("old", 1)], afresh=True
    )
    await store.driver.seed(scope, [memory("both", "new"), run("new", 1)], afresh=True)
    await store.driver.seed(scope, [memory("both", "newest"), memory("next", position=2)], afresh=False)
    await store.driver.seed(scope, [], afresh=False)
    await Journal(store.driver, scope).append(puts=[state(1), memory("next", "put", position=2)])
    expected = [memory("both", "newest"), memory("next", "put", position=2), run("new", 1), state(1)]
    assert by_key((await store.driver.load(scope, list(RowKind))).rows) == by_key(expected)
    assert ids(await store.driver.rows(PageOf(scope, RowKind.RUN, limit=10))) == ["new"]
    assert await store.driver.get(scope, RowKind.MEMORY, ["old", "both"]) == {"both": memory("both", "newest")}


async def test_a_copy_that_was_cut_is_seeded_again(store: Store) -> None:
    """seed: `afresh`, also where an earlier copy left records: rows become what is seeded, the journal stays."""
    source = await _lived(store, "source", 1)
    rows = (await store.driver.load(source.scope, list(RowKind))).rows
    copy = Journal(store.driver, store.user("copy"))
    await store.driver.seed(copy.scope, [memory("m1", "cut"), memory("gone"), run("gone", 9)], afresh=True)
    begun = await copy.append([b"1", b"2"], puts=[memory("m2", "cut", position=2), extraction("gone", 9)])
    await store.driver.seed(copy.scope, rows, afresh=True)
    assert list(await store.driver.records(copy.scope, 0, 10)) == list(begun.records)
    await copy.append([b"3"], puts=[state(7)])
    loaded = await store.driver.load(copy.scope, list(RowKind))
    assert (loaded.tip, by_key(loaded.rows)) == (copy.tip, by_key([*rows, state(7)]))
    assert ids(await store.driver.rows(PageOf(copy.scope, RowKind.RUN, limit=10))) == ["r1", "r2"]
    assert await store.driver.get(copy.scope, RowKind.MEMORY, ["m2", "gone"]) == {"m2": memory("m2", position=2)}


async def test_a_copied_erased_user_stays_erased(store: Store) -> None:
    """seed, append: an erased user moves as one record that `erases`, with the requests that were kept."""
    source = await _lived(store, "source", 1)
    erasure = await source.append(puts=[state(0)], erases=True)
    rows = [row for row in (await store.driver.load(source.scope, list(RowKind))).rows if row.kind is RowKind.REQUEST]
    assert rows
    copy = store.user("copy")
    await store.driver.seed(copy, rows, afresh=True)
    await applied(store.driver, msgspec.structs.replace(erasure, scope=copy, after=EMPTY))
    assert by_key((await store.driver.load(copy, list(RowKind))).rows) == by_key([*rows, state(0)])
    assert (await tip_now(store.driver, copy), await first_kept(store.driver, copy, 0)) == (source.tip, source.tip.seq)
    assert list(await store.driver.users(store.namespace, "", 10)) == []
    await Journal(store.driver, copy, source.tip).append()
    assert list(await store.driver.users(store.namespace, "", 10)) == ["copy"]


async def _lived(store: Store, user_id: str, kept_from: int) -> Journal:
    """Return a user with ten records, those below `kept_from` truncated, and rows of every kind."""
    journal = store.journal(user_id)
    rows: list[Row] = [memory("m1"), memory("m2", position=2), run("r1", 1), run("r2", 2, session="s2")]
    await journal.append([b"%d" % number for number in range(9)], puts=[memory("m3", position=3), state(1), *rows])
    rows = [session("s1", 1), session("s2", 2), extraction("e1", 4), request("q1", 5), state(2)]
    await journal.append(puts=rows, deletes=[RowKey(RowKind.MEMORY, "m3")], due=5)
    await store.driver.truncate(journal.scope, kept_from)
    return journal


async def _copy(driver: Driver, source: Journal, copy: Scope, kept_from: int) -> None:
    rows = (await driver.load(source.scope, list(RowKind))).rows
    [head] = [row for row in rows if row.kind is RowKind.STATE]
    seeded = [row for row in rows if row is not head]
    await driver.seed(copy, seeded[:3], afresh=True)
    await driver.seed(copy, seeded[3:], afresh=False)
    records = list(await driver.records(source.scope, kept_from - 1, 100))
    assert (await driver.load(copy, list(RowKind))).tip == EMPTY
    first = Append(scope=copy, after=EMPTY, records=records[:2])
    await applied(driver, first)
    await applied(driver, Append(scope=copy, after=tip_of(first), records=records[2:], puts=[head], due=5))


async def _assert_same(driver: Driver, source: Journal, copy: Scope) -> None:
    left, right = [await driver.load(scope, list(RowKind)) for scope in (source.scope, copy)]
    assert (left.tip, by_key(left.rows)) == (right.tip, by_key(right.rows))
    assert await tip_now(driver, copy) == source.tip
    kept_from = await first_kept(driver, source.scope, 0) or 1
    pages = [await driver.records(scope, kept_from - 1, 100) for scope in (source.scope, copy)]
    assert list(pages[0]) == list(pages[1])
    for kind in (RowKind.RUN, RowKind.SESSION, RowKind.EXTRACTION, RowKind.MEMORY):
        of_source, of_copy = [await driver.rows(PageOf(scope, kind, limit=100)) for scope in (source.scope, copy)]
        assert list(of_source) == list(of_copy)
        assert await driver.get(copy, kind, ids(of_source)) == {row.row_id: row for row in of_source}
    listed = await driver.users(copy.namespace, "", 100)
    assert {source.scope.user_id, copy.user_id} <= set(listed)
    assert Due(copy, 5) in await due_in(driver, copy.namespace, 5)
    assert Due(copy, 5) not in await due_in(driver, copy.namespace, 4)
