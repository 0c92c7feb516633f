"""Appending: compare-and-set on the tip, one winner, whole or not at all, each item by itself."""

from __future__ import annotations

import asyncio
import random
import secrets

from memsvc.model import Scope
from memsvc.storage.conformance.items import (
    Journal,
    applied,
    by_key,
    due_in,
    item,
    memory,
    outcome_of,
    state,
    tip_now,
    tip_of,
)
from memsvc.storage.conformance.store import Store
from memsvc.storage.driver import EMPTY, Driver, Due, Outcome, RowKey, RowKind, StorageUnavailable, Tip


async def test_the_first_append_starts_a_journal(store: Store) -> None:
    """append: applied if the user's journal still ends at `after`; EMPTY is the tip of a journal without records."""
    first = item(store.user(), EMPTY)
    assert await outcome_of(store.driver, first) is Outcome.APPENDED
    assert await tip_now(store.driver, first.scope) == tip_of(first)
    assert await outcome_of(store.driver, item(first.scope, EMPTY)) is Outcome.CONFLICT
    assert await tip_now(store.driver, first.scope) == tip_of(first)


async def test_an_append_goes_on_from_the_tip(store: Store) -> None:
    """append: several records go on from `after.seq` without a gap, and are read back as they were written."""
    journal = store.journal()
    written = [*(await journal.append()).records, *(await journal.append([b"1", b"2", b"3"])).records]
    assert await tip_now(store.driver, journal.scope) == Tip(4, written[-1].nonce)
    assert list(await store.driver.records(journal.scope, 0, 10)) == written


async def test_the_seq_of_the_tip_must_match(store: Store) -> None:
    """append: CONFLICT for an item whose journal ends at another seq, before or after `after`."""
    journal = store.journal()
    await journal.append([b"1", b"2"])
    for seq in (0, 1, 3, 1_000):
        stale = item(journal.scope, Tip(seq, journal.tip.nonce))
        assert await outcome_of(store.driver, stale) is Outcome.CONFLICT
    assert await tip_now(store.driver, journal.scope) == journal.tip


async def test_the_nonce_of_the_tip_must_match(store: Store) -> None:
    """append: CONFLICT for an item that names the right seq with another nonce."""
    journal = store.journal()
    await journal.append()
    for nonce in ("", secrets.token_hex(8), journal.tip.nonce.upper() + "f"):
        stale = item(journal.scope, Tip(journal.tip.seq, nonce))
        assert await outcome_of(store.driver, stale) is Outcome.CONFLICT
    assert await tip_now(store.driver, journal.scope) == journal.tip


async def test_an_append_to_an_unknown_user_must_start_at_empty(store: Store) -> None:
    """append: CONFLICT for an item that goes on from a tip where there is no journal."""
    scope = store.user()
    assert await outcome_of(store.driver, item(scope, Tip(1, "00" * 8))) is Outcome.CONFLICT
    assert await outcome_of(store.driver, item(scope, Tip(0, "00" * 8))) is Outcome.CONFLICT
    assert await tip_now(store.driver, scope) == EMPTY


async def test_a_tip_reused_after_restore_is_not_taken_for_fresh(store: Store) -> None:
    """Tip: two tips are the same only if both halves are; a restored backup reaches the same seq by another way."""
    scope = store.user()
    before_restore, after_restore = item(scope, EMPTY, [b"1", b"2"]), item(scope, EMPTY, [b"1", b"2"])
    await applied(store.driver, after_restore)
    lost = tip_of(before_restore)
    tip = await tip_now(store.driver, scope)
    assert tip.seq == lost.seq
    assert tip != lost
    assert (await store.driver.load(scope, [])).tip == tip
    assert await outcome_of(store.driver, item(scope, lost)) is Outcome.CONFLICT
    assert list(await store.driver.records(scope, 0, 10)) == list(after_restore.records)


async def test_a_conflict_fails_alone(store: Store) -> None:
    """append: MUST answer CONFLICT for an item whose journal moved on and go on with the others."""
    journals = [store.journal(f"user-{number}") for number in range(9)]
    for journal in journals:
        await journal.append()
    batch = [item(journal.scope, journal.tip) for journal in journals]
    for moved_on in (0, 4, 8):
        await journals[moved_on].append()
    outcomes = list(await store.driver.append(batch))
    expected = [Outcome.CONFLICT if number in (0, 4, 8) else Outcome.APPENDED for number in range(9)]
    assert outcomes == expected
    tips = list(await store.driver.tips([journal.scope for journal in journals]))
    assert tips == [journals[n].tip if n in (0, 4, 8) else tip_of(batch[n]) for n in range(9)]


async def test_an_item_is_applied_whole_or_not_at_all(store: Store) -> None:
    """append: MUST never apply part of an item: of one that conflicts nothing is written."""
    journal = store.journal()
    kept = [state(1), memory("kept"), memory("wanted")]
    written = await journal.append(puts=kept, due=5)
    changed = [state(2), memory("kept", "changed"), memory("new")]
    stale = Tip(1, "00" * 8)
    for erases in (False, True):
        conflicting = item(
            journal.scope, stale, puts=changed, deletes=[RowKey(RowKind.MEMORY, "wanted")], due=9, erases=erases
        )
        assert await outcome_of(store.driver, conflicting) is Outcome.CONFLICT
    loaded = await store.driver.load(journal.scope, list(RowKind))
    assert (loaded.tip, by_key(loaded.rows)) == (journal.tip, by_key(kept))
    assert list(await store.driver.records(journal.scope, 0, 10)) == list(written.records)
    assert list(await store.driver.users(store.namespace, "", 10)) == ["sarah"]
    assert await due_in(store.driver, store.namespace, 9) == [Due(journal.scope, 5)]


async def test_an_empty_batch_is_no_error(store: Store) -> None:
    """append: outcomes are in the batch's order: none for none."""
    assert list(await store.driver.append([])) == []


async def test_sixty_four_users_append_in_one_batch(store: Store) -> None:
    """append: a batch names many users, each once; each is applied."""
    scopes = store.crowd(64)
    batch = [item(scope, EMPTY, puts=[state(1), memory("m1")]) for scope in scopes]
    await applied(store.driver, *batch)
    assert list(await store.driver.tips(scopes)) == [tip_of(appended) for appended in batch]
    for appended in batch[::9]:
        loaded = await store.driver.load(appended.scope, list(RowKind))
        assert by_key(loaded.rows) == by_key(appended.puts)


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


async def test_a_thousand_appends_in_a_row(store: Store) -> None:
    """append: seq goes on without a gap, however long the journal."""
    journal = store.journal()
    for number in range(1, 1_001):
        await journal.append([str(number).encode()], puts=[state(number)])
    records = await store.driver.records(journal.scope, 0, 2_000)
    assert [(record.seq, record.body) for record in records] == [(n, str(n).encode()) for n in range(1, 1_001)]
    loaded = await store.driver.load(journal.scope, [RowKind.STATE])
    assert (loaded.tip, list(loaded.rows)) == (journal.tip, [state(1_000)])


async def test_groups_over_the_same_users_never_deadlock_or_starve(store: Store) -> None:
    """append: batches over the same users, in any order, all end, and every writer gets its turn."""
    drivers = await store.several()
    scopes = store.crowd(12)
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
    for number in range(40):
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


async def test_a_full_disk_inside_a_group_acknowledges_nothing_lost(store: Store) -> None:
    """append: MUST answer UNKNOWN, or raise StorageUnavailable for all, when the database failed; never APPENDED."""
    async with store.scratch() as place:
        driver = place.connect()
        await driver.open()
        try:
            batch = []
            for number in range(16):
                journal = Journal(driver, Scope(store.namespace, f"user-{number}"))
                await journal.append()
                batch.append(item(journal.scope, journal.tip, [b"x" * (200_000 if number % 2 else 1)]))
            async with store.bench.full_disk(driver):
                replies = await asyncio.gather(*(driver.append([one]) for one in batch), return_exceptions=True)
            assert any(reply != [Outcome.APPENDED] for reply in replies), "the disk was not full"
            for appended, reply in zip(batch, replies, strict=True):
                tip = await tip_now(driver, appended.scope)
                if isinstance(reply, StorageUnavailable) or reply == [Outcome.UNKNOWN]:
                    assert tip in (appended.after, tip_of(appended))
                else:
                    assert (reply, tip) == ([Outcome.APPENDED], tip_of(appended))
            await Journal(driver, Scope(store.namespace, "afterwards")).append()
        finally:
            await driver.close()


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
