"""Erasing: an append that leaves nothing of a user but the way on."""

from __future__ import annotations

import asyncio
import secrets

from memsvc.model import Scope
from memsvc.storage.conformance.items import (
    Journal,
    by_key,
    due_in,
    extraction,
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
from memsvc.storage.conformance.truncation import first_kept
from memsvc.storage.driver import EMPTY, Outcome, PageOf, RowKey, RowKind


async def test_an_erase_leaves_only_requests(store: Store) -> None:
    """append: `erases`: before `puts`, delete every row of the user but its REQUEST rows."""
    journal = store.journal()
    requests = [request("q1", 1), request("q2", 2)]
    await journal.append(puts=[state(1), memory("m1"), run("r1", 1), session("s1", 1), extraction("e1", 1), *requests])
    await journal.append(puts=[state(2), request("q3", 3)], erases=True)
    loaded = await store.driver.load(journal.scope, list(RowKind))
    assert loaded.tip == journal.tip
    assert by_key(loaded.rows) == by_key([state(2), *requests, request("q3", 3)])
    assert await store.driver.get(journal.scope, RowKind.MEMORY, ["m1"]) == {}
    assert list(await store.driver.rows(PageOf(journal.scope, RowKind.RUN, group="s1", limit=10))) == []


async def test_an_erase_may_delete_requests_by_name(store: Store) -> None:
    """append: `deletes` holds in an append that erases too."""
    journal = store.journal()
    await journal.append(puts=[request("q1", 1), request("q2", 2)])
    await journal.append(deletes=[RowKey(RowKind.REQUEST, "q1")], erases=True)
    assert list((await store.driver.load(journal.scope, list(RowKind))).rows) == [request("q2", 2)]


async def test_earlier_records_are_gone_after_an_erase(store: Store) -> None:
    """append: `erases`: delete every earlier record for good; the journal's seq goes on."""
    journal = store.journal()
    await journal.append([b"1", b"2", b"3"])
    erasure = await journal.append([b"erased", b"more"], erases=True)
    assert [record.seq for record in erasure.records] == [4, 5]
    for after in (0, 2):
        assert await first_kept(store.driver, journal.scope, after) == 4
    assert list(await store.driver.records(journal.scope, 3, 10)) == list(erasure.records)
    following = await journal.append([b"6"])
    assert list(await store.driver.records(journal.scope, 3, 10)) == [*erasure.records, *following.records]


async def test_an_erased_user_is_not_listed(store: Store) -> None:
    """users: MUST leave out a user whose last append `erases`; the next append lists it again."""
    sarah, ava = store.journal("sarah"), store.journal("ava")
    await sarah.append()
    await ava.append()
    await sarah.append(erases=True)
    assert list(await store.driver.users(store.namespace, "", 10)) == ["ava"]
    await sarah.append()
    assert list(await store.driver.users(store.namespace, "", 10)) == ["ava", "sarah"]


async def test_an_erase_says_what_is_due(store: Store) -> None:
    """append: `due` is that of the last append, also where it erases."""
    journal = store.journal()
    await journal.append(due=5)
    await journal.append(erases=True)
    assert await due_in(store.driver, store.namespace, 100) == []


async def test_an_erase_conflicts_like_any_append(store: Store) -> None:
    """append: CONFLICT for an erase of a journal that moved on: what was acknowledged meanwhile stays visible."""
    journal = store.journal()
    await journal.append(puts=[memory("m1")])
    stale = journal.tip
    await journal.append(puts=[memory("m2")])
    assert await outcome_of(store.driver, item(journal.scope, stale, erases=True)) is Outcome.CONFLICT
    loaded = await store.driver.load(journal.scope, [RowKind.MEMORY])
    assert by_key(loaded.rows) == by_key([memory("m1"), memory("m2")])
    assert list(await store.driver.users(store.namespace, "", 10)) == ["sarah"]


async def test_a_stale_writer_cannot_append_after_an_erase(store: Store) -> None:
    """append: CONFLICT for whoever still holds a tip from before the erase, EMPTY included."""
    journal = store.journal()
    tips = [EMPTY]
    for _ in range(3):
        await journal.append(puts=[memory("m1")])
        tips.append(journal.tip)
    await journal.append(erases=True)
    for stale in tips:
        resurrecting = item(journal.scope, stale, puts=[memory("m1")])
        assert await outcome_of(store.driver, resurrecting) is Outcome.CONFLICT
    loaded = await store.driver.load(journal.scope, list(RowKind))
    assert (loaded.tip, list(loaded.rows)) == (journal.tip, [])


async def test_a_user_may_be_erased_again(store: Store) -> None:
    """append: erasing is repeatable: an empty journal, one that was erased, one that was filled again."""
    journal = store.journal()
    for _ in range(3):
        await journal.append(puts=[state(0), request(f"q{journal.tip.seq}", 1)], erases=True)
        assert list(await store.driver.users(store.namespace, "", 10)) == []
    assert await first_kept(store.driver, journal.scope, 0) == 3
    await journal.append(puts=[memory("m1")])
    await journal.append(erases=True)
    kinds = [row.kind for row in (await store.driver.load(journal.scope, list(RowKind))).rows]
    assert kinds == [RowKind.REQUEST] * 3
    assert journal.tip == await tip_now(store.driver, journal.scope)


async def test_an_erase_touches_nobody_else(store: Store) -> None:
    """append: `erases` is about one user of one namespace."""
    neighbours = [store.user("sara"), store.user("sarah "), store.user("sarah/"), store.user("sarah", within="-other")]
    for scope in neighbours:
        await Journal(store.driver, scope).append([b"1", b"2"], puts=[memory("m1")], due=1)
    journal = store.journal()
    await journal.append(puts=[memory("m1")], due=1)
    await journal.append(erases=True)
    for scope in neighbours:
        assert list((await store.driver.load(scope, list(RowKind))).rows) == [memory("m1")]
        assert len(await store.driver.records(scope, 0, 10)) == 2
    assert len(await due_in(store.driver, store.namespace, 1)) == 3


async def test_erased_text_is_gone(store: Store) -> None:
    """append: `erases` deletes for good: no readable trace in the database's files, of records or of rows."""
    async with store.scratch() as place:
        secret = f"secret-{secrets.token_hex(16)}"
        store.bench.files(place)
        driver = place.connect()
        await driver.open()
        try:
            journal = Journal(driver, Scope(store.namespace, "sarah"))
            for number in range(1, 21):
                text = secret * (1 if number % 4 else 500)
                await journal.append([text.encode()], puts=[memory("m1", text), run("r1", 1, text=text)])
            assert await asyncio.to_thread(store.holds, place, secret.encode())
            await journal.append(erases=True)
            assert not await asyncio.to_thread(store.holds, place, secret.encode())
        finally:
            await driver.close()
