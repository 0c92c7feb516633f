"""Rows: puts, replacements, deletes, and what is read of them one by one."""

from __future__ import annotations

from memsvc.storage.conformance.items import (
    by_key,
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
)
from memsvc.storage.conformance.store import Store
from memsvc.storage.driver import EMPTY, Outcome, PageOf, Row, RowKey, RowKind


async def test_rows_are_put_in_the_step_of_their_record(store: Store) -> None:
    """append: rows to insert, as they are after the last record, of every kind."""
    journal = store.journal()
    rows = [
        state(1),
        memory("m1"),
        run("r1", 1),
        session("s1", 1),
        extraction("e1", 1),
        request("q1", 1_700_000_000_000_000),
    ]
    await journal.append(puts=rows)
    loaded = await store.driver.load(journal.scope, list(RowKind))
    assert (loaded.tip, by_key(loaded.rows)) == (journal.tip, by_key(rows))


async def test_a_put_replaces_the_whole_row(store: Store) -> None:
    """append: rows to insert or *replace*: body, group and position."""
    journal = store.journal()
    await journal.append(puts=[state(1), memory("m1"), run("r1", 1), session("s1", 1)])
    replaced = [state(2), memory("m1", "Skis at Kirkwood", position=7), run("r1", 2, session="s2"), session("s1", 2)]
    await journal.append(puts=replaced)
    loaded = await store.driver.load(journal.scope, list(RowKind))
    assert by_key(loaded.rows) == by_key(replaced)
    assert list(await store.driver.rows(PageOf(journal.scope, RowKind.RUN, group="s1", limit=10))) == []
    assert ids(await store.driver.rows(PageOf(journal.scope, RowKind.RUN, group="s2", limit=10))) == ["r1"]


async def test_rows_may_trade_places_in_one_append(store: Store) -> None:
    """append: positions are distinct *after* it: rows may exchange theirs, or take a deleted one's."""
    journal = store.journal()
    await journal.append(puts=[session("s1", 1), session("s2", 2), session("s3", 3)])
    gone = RowKey(RowKind.SESSION, "s3")
    await journal.append(puts=[session("s1", 2), session("s2", 1), session("s4", 3)], deletes=[gone])
    rows = await store.driver.rows(PageOf(journal.scope, RowKind.SESSION, limit=10))
    assert ids(rows) == ["s2", "s1", "s4"]


async def test_a_deleted_row_is_gone(store: Store) -> None:
    """append: rows to delete; one that is absent is no error."""
    journal = store.journal()
    await journal.append(puts=[memory("m1"), memory("m2"), run("m1", 1)])
    await journal.append(deletes=[RowKey(RowKind.MEMORY, "m1"), RowKey(RowKind.MEMORY, "absent")])
    assert ids((await store.driver.load(journal.scope, [RowKind.MEMORY])).rows) == ["m2"]
    assert await store.driver.get(journal.scope, RowKind.MEMORY, ["m1"]) == {}
    assert ids((await store.driver.load(journal.scope, [RowKind.RUN])).rows) == ["m1"]
    await journal.append(puts=[memory("m1", "back again")])
    assert await store.driver.get(journal.scope, RowKind.MEMORY, ["m1"]) == {"m1": memory("m1", "back again")}


async def test_an_append_may_only_delete(store: Store) -> None:
    """append: `puts` may be empty; the tip moves all the same."""
    journal = store.journal()
    await journal.append(puts=[memory("m1")])
    await journal.append(deletes=[RowKey(RowKind.MEMORY, "m1")])
    loaded = await store.driver.load(journal.scope, list(RowKind))
    assert (loaded.tip, list(loaded.rows)) == (journal.tip, [])


async def test_rows_of_kinds_and_users_are_kept_apart(store: Store) -> None:
    """Row: unique by user, kind and id: equal ids elsewhere are other rows."""
    sarah, ava = store.journal("sarah"), store.journal("ava")
    await sarah.append(puts=[memory("same"), run("same", 1), session("same", 1), extraction("same", 1)])
    await ava.append(puts=[memory("same", "Lives in Oslo")])
    await ava.append(puts=[run("same", 9)])
    await sarah.append(deletes=[RowKey(RowKind.SESSION, "same")])
    kinds = {row.kind for row in (await store.driver.load(sarah.scope, list(RowKind))).rows}
    assert kinds == {RowKind.MEMORY, RowKind.RUN, RowKind.EXTRACTION}
    assert await store.driver.get(sarah.scope, RowKind.MEMORY, ["same"]) == {"same": memory("same")}
    assert await store.driver.get(ava.scope, RowKind.MEMORY, ["same"]) == {"same": memory("same", "Lives in Oslo")}


async def test_get_returns_those_that_exist(store: Store) -> None:
    """get: return those of these rows that exist, by id."""
    journal = store.journal()
    runs = {f"r{number}": run(f"r{number}", number) for number in range(1, 6)}
    await journal.append(puts=list(runs.values()))
    found = await store.driver.get(journal.scope, RowKind.RUN, ["r4", "absent", "r2", "R2"])
    assert found == {"r4": runs["r4"], "r2": runs["r2"]}
    assert await store.driver.get(journal.scope, RowKind.RUN, []) == {}
    assert await store.driver.get(journal.scope, RowKind.MEMORY, ["r1"]) == {}
    assert await store.driver.get(store.user("nobody"), RowKind.RUN, ["r1"]) == {}


async def test_get_takes_many_ids(store: Store) -> None:
    """get: of as many ids as there are."""
    journal = store.journal()
    runs: list[Row] = [run(f"r{number}", number) for number in range(1, 1_001)]
    await journal.append(puts=runs)
    asked = [f"r{number}" for number in range(1, 3_001)]
    assert await store.driver.get(journal.scope, RowKind.RUN, asked) == {row.row_id: row for row in runs}


async def test_load_returns_only_the_kinds_asked_for(store: Store) -> None:
    """load: return tip and all rows of these kinds."""
    journal = store.journal()
    await journal.append(puts=[state(1), memory("m1"), run("r1", 1), request("q1", 1)])
    some = await store.driver.load(journal.scope, [RowKind.STATE, RowKind.MEMORY])
    assert (some.tip, by_key(some.rows)) == (journal.tip, by_key([state(1), memory("m1")]))
    none = await store.driver.load(journal.scope, [])
    assert (none.tip, list(none.rows)) == (journal.tip, [])


async def test_a_user_without_a_journal_is_empty(store: Store) -> None:
    """load, tips, records, rows: a user without a journal has tip EMPTY, no records and no rows."""
    scope, driver = store.user("nobody"), store.driver
    loaded = await driver.load(scope, list(RowKind))
    assert (loaded.tip, list(loaded.rows)) == (EMPTY, [])
    assert await tip_now(driver, scope) == EMPTY
    assert list(await driver.records(scope, 0, 10)) == []
    assert list(await driver.rows(PageOf(scope, RowKind.RUN, limit=10))) == []
    assert list(await driver.users(store.namespace, "", 10)) == []
    assert await outcome_of(driver, item(scope, EMPTY)) is Outcome.APPENDED
