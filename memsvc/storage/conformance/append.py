"""Appending: compare-and-set on the tip, one winner, whole or not at all, each item by itself."""

from __future__ import annotations

import secrets

from memsvc.storage.conformance.items import (
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
from memsvc.storage.driver import EMPTY, Due, Outcome, RowKey, RowKind, Tip


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


async def test_a_thousand_appends_in_a_row(store: Store) -> None:
    """append: seq goes on without a gap, however long the journal."""
    journal, count = store.journal(), store.scaled(1_000)
    for number in range(1, count + 1):
        await journal.append([str(number).encode()], puts=[state(number)])
    records = await store.driver.records(journal.scope, 0, 2_000)
    assert [(record.seq, record.body) for record in records] == [(n, str(n).encode()) for n in range(1, count + 1)]
    loaded = await store.driver.load(journal.scope, [RowKind.STATE])
    assert (loaded.tip, list(loaded.rows)) == (journal.tip, [state(count)])
