"""Appends to Redis: scripts that are missing, a server that cannot write, replies that are lost, damage."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from redis_stores import KEYS, place, until

from memsvc.errors import Reason, StorageUnavailable
from memsvc.model import Scope
from memsvc.storage.conformance.items import (
    Journal,
    applied,
    by_key,
    extraction,
    item,
    memory,
    outcome_of,
    run,
    session,
    state,
    tip_now,
    tip_of,
)
from memsvc.storage.conformance.proxy import proxied
from memsvc.storage.driver import EMPTY, MAX_APPEND_BYTES, Due, Outcome, PageOf, Redaction, RowKind
from tests.servers.redis import Redis

pytestmark = pytest.mark.redis

SARAH = Scope("default", "sarah")
MakeRedis = Callable[..., Redis]


async def test_scripts_that_the_server_forgot_are_sent_again(own_redis: MakeRedis) -> None:
    server = own_redis()
    async with place(server.url).opened() as driver:
        journal = Journal(driver, SARAH)
        for _ in range(2):
            await journal.append(puts=[state(1), run("r1", 1)])
            server.execute("SCRIPT", "FLUSH")
        crowd = [item(Scope("default", f"user-{number}"), EMPTY) for number in range(20)]
        await applied(driver, *crowd)
        server.execute("SCRIPT", "FLUSH")
        assert len(await driver.records(SARAH, 0, 10)) == 2
        server.execute("SCRIPT", "FLUSH")
        assert len(await driver.rows(PageOf(SARAH, RowKind.RUN, limit=10))) == 1
        server.execute("SCRIPT", "FLUSH")
        assert len(await driver.users("default", "", 100)) == 21


async def test_a_full_server_applies_nothing_and_says_so(own_redis: MakeRedis) -> None:
    server = own_redis()
    async with place(server.url).opened() as driver:
        journal = Journal(driver, SARAH)
        rows = [state(1), memory("m1"), run("r1", 1)]
        written = (await journal.append([b"1", b"2"], puts=rows, due=5)).records
        server.execute("CONFIG", "SET", "maxmemory", 1)
        for call in (
            lambda: driver.append([item(SARAH, journal.tip, puts=[state(2), run("r1", 2, session="s2")], due=9)]),
            lambda: driver.append([item(SARAH, journal.tip, erases=True)]),
            lambda: driver.truncate(SARAH, 2),
            lambda: driver.redact(SARAH, [Redaction(1, b"1", b"{}")]),
            lambda: driver.seed(Scope("default", "copy"), [memory("m1")], afresh=True),
        ):
            with pytest.raises(StorageUnavailable) as raised:
                await call()
            assert raised.value.reason is Reason.STORAGE_FULL
            assert raised.value.__cause__ is not None
        loaded = await driver.load(SARAH, list(RowKind))
        assert (loaded.tip, by_key(loaded.rows)) == (journal.tip, by_key(rows))
        assert list(await driver.records(SARAH, 0, 10)) == list(written)
        assert await driver.due(10, 10) == [Due(SARAH, 5)]
        server.execute("CONFIG", "SET", "maxmemory", 0)
        await journal.append(puts=[state(2)])


async def test_a_server_that_becomes_a_replica_applies_nothing(own_redis: MakeRedis) -> None:
    server, other = own_redis(), own_redis()
    async with place(server.url).opened() as driver:
        journal = Journal(driver, SARAH)
        await journal.append()
        server.execute("CONFIG", "SET", "replica-serve-stale-data", "yes")
        server.execute("REPLICAOF", "127.0.0.1", other.port)
        with pytest.raises(StorageUnavailable, match="replica"):
            await driver.append([item(SARAH, journal.tip)])
        server.execute("REPLICAOF", "NO", "ONE")
        assert await outcome_of(driver, item(SARAH, await tip_now(driver, SARAH))) is Outcome.APPENDED


async def test_a_lost_reply_is_found_out_about(redis_server: Redis) -> None:
    """The connection ends after the append and before its reply: a repeat recognises its own nonce."""
    async with proxied(place(redis_server.url).bench().upstream(place(redis_server.url))) as proxy:
        options = {"key_prefix": "lost-replies:", "operation_timeout_ms": "5000"}
        async with place(f"redis://127.0.0.1:{proxy.port}", **options).opened() as driver:
            await applied(driver, item(SARAH, await tip_now(driver, SARAH)))
            for _ in range(3):
                appended = item(SARAH, await tip_now(driver, SARAH), [b"1", b"2"], puts=[state(1)])
                proxy.swallow_replies()
                appending = asyncio.ensure_future(outcome_of(driver, appended))
                async with place(redis_server.url, key_prefix="lost-replies:").opened() as other:
                    while await tip_now(other, SARAH) != tip_of(appended):
                        await asyncio.sleep(0.01)
                    moved_on = item(SARAH, tip_of(appended))
                    await applied(other, moved_on)
                proxy.resume()
                await proxy.reset()
                assert await appending is Outcome.APPENDED
                assert await tip_now(driver, SARAH) == tip_of(moved_on)


async def test_too_few_replicas_make_the_outcome_unknown(own_redis: MakeRedis) -> None:
    server = own_redis()
    await place(server.url).connect().migrate()
    async with place(server.url, wait_replicas="1", wait_timeout_ms="50").opened() as driver:
        lonely = item(SARAH, EMPTY)
        with pytest.raises(StorageUnavailable, match="replicas"):
            await driver.append([lonely])
        assert await tip_now(driver, SARAH) == tip_of(lonely)
        assert driver.capabilities().reads_run_ahead
        replica = own_redis()
        replica.execute("REPLICAOF", "127.0.0.1", server.port)
        await until(lambda: replica.execute("ROLE")[3] == "connected")
    async with place(server.url, wait_replicas="1").opened() as driver:
        followed = item(SARAH, tip_of(lonely), puts=[state(1)])
        await applied(driver, followed)
        head = replica.execute("GET", KEYS.of(SARAH).head)
        assert head.startswith(f"2 {followed.records[0].nonce} ")


@pytest.mark.parametrize("part", ["journal", "run", "run.order", "due"])
async def test_a_key_of_another_type_lets_nothing_through(own_redis: MakeRedis, part: str) -> None:
    """A script looks at all keys before it writes: what fails, fails whole."""
    server = own_redis()
    async with place(server.url).opened() as driver:
        user = KEYS.of(SARAH)
        names = {"journal": user.journal, "run": user.rows(RowKind.RUN), "run.order": user.order(RowKind.RUN)}
        key = names.get(part, KEYS.bucket(user.bucket, part))
        server.execute("SET", key, "somebody else's")
        with pytest.raises(StorageUnavailable):
            await driver.append([item(SARAH, EMPTY, puts=[state(1), run("r1", 1)], due=7)])
        assert set(server.execute("KEYS", "*")) == {key.decode(), KEYS.meta("schema").decode()}


async def test_a_journal_that_lost_records_takes_no_more(own_redis: MakeRedis) -> None:
    server = own_redis()
    async with place(server.url).opened() as driver:
        journal = Journal(driver, SARAH)
        await journal.append([b"1", b"2"])
        server.execute("DEL", KEYS.of(SARAH).journal)
        with pytest.raises(StorageUnavailable, match="DAMAGED"):
            await driver.append([item(SARAH, journal.tip)])


async def test_the_largest_append_is_one_step(redis_server: Redis) -> None:
    async with place(redis_server.url, key_prefix="largest:", operation_timeout_ms="20000").opened() as driver:
        body = b"x" * (MAX_APPEND_BYTES // 2_000 - 200)
        rows = [
            *(memory(f"m{number}", body.decode(), position=number) for number in range(997)),
            *(run("r1", 1), session("s1", 1), extraction("e1", 1)),
        ]
        journal = Journal(driver, SARAH, await tip_now(driver, SARAH))
        await journal.append([body] * 900, puts=rows, erases=True)
        loaded = await driver.load(SARAH, list(RowKind))
        assert by_key(loaded.rows) == by_key(rows)
        assert len(await driver.records(SARAH, journal.tip.seq - 900, 1_000)) == 900


async def test_keys_can_be_read_by_people(own_redis: MakeRedis) -> None:
    server = own_redis()
    async with place(server.url, key_prefix="app:").opened() as driver:
        await Journal(driver, SARAH).append(puts=[memory("m1", "Skis at Tahoe", position=0)])
    names = set(server.execute("KEYS", "app:*"))
    [bucket] = {name.partition("{")[2].partition("}")[0] for name in names} - {"meta"}
    user = [f"app:{{{bucket}}}:{part}:default/sarah" for part in ("head", "journal", "memory")]
    shared = [f"app:{{{bucket}}}:{part}" for part in ("scopes", "users:default")]
    assert names == {*user, *shared, "app:{meta}:schema"}
    assert '"memory":"Skis at Tahoe"' in server.execute("HGET", user[2], "m1")
