"""Retention: truncated journals, and who may still append to them; redacted records."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Collection
from contextlib import suppress

from memsvc.model import Scope
from memsvc.storage.conformance.items import Journal, by_key, item, memory, outcome_of, redact, state, tip_now, tip_of
from memsvc.storage.conformance.store import Store
from memsvc.storage.driver import EMPTY, Driver, Outcome, Redaction, RowKind, Tip, TruncatedJournal


async def test_records_below_the_floor_are_refused(store: Store) -> None:
    """records: MUST raise TruncatedJournal when records between `after` and the first one kept are gone."""
    journal = store.journal()
    written = (await journal.append([b"%d" % number for number in range(10)])).records
    await store.driver.truncate(journal.scope, 6)
    for after in (0, 1, 4):
        assert await first_kept(store.driver, journal.scope, after) == 6
    assert list(await store.driver.records(journal.scope, 5, 100)) == list(written[5:])
    assert list(await store.driver.records(journal.scope, 5, 2)) == list(written[5:7])
    assert list(await store.driver.records(journal.scope, 8, 100)) == list(written[8:])
    assert list(await store.driver.records(journal.scope, 10, 100)) == []


async def test_truncate_keeps_the_newest_record(store: Store) -> None:
    """truncate: forget records with seq < `floor`; the newest record always stays."""
    journal = store.journal()
    await journal.append([b"1", b"2"])
    newest = (await journal.append([b"3"])).records
    await store.driver.truncate(journal.scope, 1_000)
    assert await first_kept(store.driver, journal.scope, 1) == 3
    assert list(await store.driver.records(journal.scope, 2, 10)) == list(newest)
    following = (await journal.append([b"4"])).records
    assert list(await store.driver.records(journal.scope, 2, 10)) == [*newest, *following]


async def test_the_floor_only_rises(store: Store) -> None:
    """truncate: what was forgotten stays so, whatever floor comes later."""
    journal = store.journal()
    await journal.append([b"{}"] * 9)
    for floor, first in ((4, 4), (2, 4), (0, 4), (4, 4), (7, 7), (5, 7), (9, 9)):
        await store.driver.truncate(journal.scope, floor)
        assert await first_kept(store.driver, journal.scope, 0) == first


async def test_truncate_of_nothing_is_no_error(store: Store) -> None:
    """truncate: of a user without a journal, or up to the first record, does nothing."""
    await store.driver.truncate(store.user("nobody"), 5)
    assert await tip_now(store.driver, store.user("nobody")) == EMPTY
    journal = store.journal()
    written = (await journal.append([b"1", b"2"])).records
    await store.driver.truncate(journal.scope, 1)
    assert list(await store.driver.records(journal.scope, 0, 10)) == list(written)


async def test_truncate_leaves_tip_and_rows(store: Store) -> None:
    """truncate: forgets records, nothing else."""
    journal = store.journal()
    rows = [state(2), memory("m1")]
    await journal.append([b"1", b"2"], puts=rows, due=4)
    await store.driver.truncate(journal.scope, 2)
    loaded = await store.driver.load(journal.scope, list(RowKind))
    assert (loaded.tip, by_key(loaded.rows)) == (journal.tip, by_key(rows))
    assert list(await store.driver.users(store.namespace, "", 10)) == ["sarah"]


async def test_a_stale_writer_cannot_append_below_the_floor(store: Store) -> None:
    """truncate: a stale writer MUST NOT be able to append below the floor."""
    drivers = await store.several()
    journal = store.journal()
    tips = [EMPTY]
    for _ in range(10):
        await journal.append()
        tips.append(journal.tip)
    await store.driver.truncate(journal.scope, 8)
    for stale in tips[:-1]:
        for driver in drivers:
            assert await outcome_of(driver, item(journal.scope, stale)) is Outcome.CONFLICT
    await store.driver.truncate(journal.scope, 10)
    rivals = [drivers[n % len(drivers)].append([item(journal.scope, stale)]) for n, stale in enumerate(tips[:-1])]
    assert all(list(outcomes) == [Outcome.CONFLICT] for outcomes in await asyncio.gather(*rivals))
    assert await tip_now(store.driver, journal.scope) == journal.tip
    assert [record.seq for record in await store.driver.records(journal.scope, 9, 100)] == [10]


async def test_truncation_during_appends_loses_no_tail(store: Store) -> None:
    """truncate: under appends and readers, what is kept has no gap and reaches the tip."""
    journal = store.journal()
    await journal.append()

    async def truncate() -> None:
        for _ in range(30):
            await store.driver.truncate(journal.scope, journal.tip.seq - 2)
            await asyncio.sleep(0)

    async def read() -> None:
        for _ in range(30):
            tip, after = journal.tip, max(journal.tip.seq - 5, 0)
            with suppress(TruncatedJournal):
                seqs = [record.seq for record in await store.driver.records(journal.scope, after, 1_000)]
                assert seqs == list(range(after + 1, after + 1 + len(seqs)))
                assert seqs[-1] >= tip.seq
            await asyncio.sleep(0)

    async def write() -> None:
        for _ in range(60):
            await journal.append()
            await asyncio.sleep(0)

    await asyncio.gather(write(), truncate(), read())
    records = await store.driver.records(journal.scope, journal.tip.seq - 1, 10)
    assert [Tip(record.seq, record.nonce) for record in records] == [journal.tip]


async def test_redact_replaces_bodies(store: Store) -> None:
    """redact: replace the bodies of these records for good; their envelopes, and the others, stay."""
    journal = store.journal()
    written = (await journal.append([b'{"text":"secret"}' for _ in range(5)])).records
    replaced = await redact(store.driver, journal.scope, {2: b"{}", 5: b'{"text":""}'})
    assert sorted(replaced) == [2, 5]
    read = await store.driver.records(journal.scope, 0, 10)
    kept = written[0].body
    assert [record.body for record in read] == [kept, b"{}", kept, kept, b'{"text":""}']
    assert [(r.seq, r.nonce, r.kind, r.time) for r in read] == [(r.seq, r.nonce, r.kind, r.time) for r in written]
    assert await tip_now(store.driver, journal.scope) == journal.tip
    following = item(journal.scope, journal.tip)
    assert await outcome_of(store.driver, following) is Outcome.APPENDED
    assert await tip_now(store.driver, journal.scope) == tip_of(following)


async def test_redact_of_what_is_gone_is_no_error(store: Store) -> None:
    """redact: a seq that is gone, or never was, is no error, and comes not back."""
    journal = store.journal()
    await journal.append([b"1", b"2", b"3"])
    await store.driver.truncate(journal.scope, 3)
    old = {1: b"1", 3: b"3", 99: b"99"}
    assert await store.driver.redact(journal.scope, [Redaction(seq, body, b"{}") for seq, body in old.items()]) == [3]
    assert not await store.driver.redact(store.user("nobody"), [Redaction(1, b"1", b"{}")])
    assert not await store.driver.redact(journal.scope, [])
    assert await first_kept(store.driver, journal.scope, 1) == 3
    assert [record.body for record in await store.driver.records(journal.scope, 2, 10)] == [b"{}"]
    assert await tip_now(store.driver, store.user("nobody")) == EMPTY


async def test_a_record_that_says_something_else_is_not_redacted(store: Store) -> None:
    """redact: MUST leave alone a record that says something else; the others are replaced."""
    journal = store.journal()
    bodies = [b'{"a":1}', b'{"a":1,"b":"\xc3\xbc"}', b"", b"\x00\xff", b"1 2 3 4 5"]
    for body in bodies:
        await journal.append([body])
    wrong = (b"", b'{"a":1} ', b'{"a":1', b'{"A":1}', b"4 5", b"\x00")
    for old in wrong:
        others = [Redaction(seq, old, b"{}") for seq, body in enumerate(bodies, 1) if body != old]
        assert not await store.driver.redact(journal.scope, others)
    assert [record.body for record in await store.driver.records(journal.scope, 0, 10)] == bodies
    mixed = [Redaction(seq, body if seq % 2 else b"other", b"{}") for seq, body in enumerate(bodies, 1)]
    assert sorted(await store.driver.redact(journal.scope, mixed)) == [1, 3, 5]
    read = [record.body for record in await store.driver.records(journal.scope, 0, 10)]
    assert read == [b"{}", bodies[1], b"{}", bodies[3], b"{}"]


async def test_of_two_redactions_of_one_record_one_wins(store: Store) -> None:
    """redact: of two that read the same record, none writes back what the other replaced."""
    await store.bench.require_atomic_updates(store.place)
    drivers = await store.several()
    journal = store.journal()
    count = store.scaled(40)
    for number in range(count):
        await journal.append([b'{"n":%d}' % number])
    read = await store.driver.records(journal.scope, 0, count)
    won: dict[bytes, Collection[int]] = {}

    async def redact_all(driver: Driver, name: bytes) -> None:
        won[name] = []
        for start in range(0, count, 4):
            some = [Redaction(record.seq, record.body, name) for record in read[start : start + 4]]
            won[name] = [*won[name], *await driver.redact(journal.scope, some)]

    await asyncio.gather(*(redact_all(driver, b"%d" % number) for number, driver in enumerate(drivers * 2)))
    stands = {record.seq: record.body for record in await store.driver.records(journal.scope, 0, count)}
    assert sorted(seq for seqs in won.values() for seq in seqs) == [record.seq for record in read]
    assert all(stands[seq] == name for name, seqs in won.items() for seq in seqs)


async def test_redacted_text_is_gone(store: Store) -> None:
    """redact: MUST leave no readable trace of the old bodies in the database's files once it returned."""
    async with store.scratch() as place:
        secret = f"secret-{secrets.token_hex(16)}".encode()
        store.bench.files(place)
        driver = place.connect()
        await driver.open()
        try:
            journal = Journal(driver, Scope(store.namespace, "sarah"))
            for number in range(1, 41):
                await journal.append([b'{"text":"%s"}' % (secret * (1 if number % 4 else 500))])
            assert await asyncio.to_thread(store.holds, place, secret)
            await redact(driver, journal.scope, dict.fromkeys(range(1, 41), b"{}"))
            assert not await asyncio.to_thread(store.holds, place, secret)
        finally:
            await driver.close()
        assert not await asyncio.to_thread(store.holds, place, secret)


async def first_kept(driver: Driver, scope: Scope, after: int) -> int:
    """Return what TruncatedJournal says when records after `after` are asked for; 0 when it is not raised."""
    try:
        await driver.records(scope, after, 10)
    except TruncatedJournal as truncated:
        return truncated.first
    return 0
