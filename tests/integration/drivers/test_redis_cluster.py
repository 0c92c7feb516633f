"""Redis Cluster: masters that change, buckets on the move, a node that is gone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest
from redis.crc import key_slot
from redis_stores import CLUSTER_KEYS, place, until, until_served

from memsvc.errors import StorageUnavailable
from memsvc.model import Scope
from memsvc.storage.conformance.items import Journal, item, memory, run, state, tip_now, tip_of
from memsvc.storage.driver import EMPTY, Driver, Due, Outcome, RowKind, Tip
from tests.servers.redis import Redis, RedisCluster

pytestmark = pytest.mark.redis

SARAH = Scope("default", "sarah")
PATIENT = {"connect_timeout_ms": "15000", "operation_timeout_ms": "15000"}


@pytest.fixture
async def cluster() -> AsyncIterator[RedisCluster]:
    found = RedisCluster(node_timeout_ms=1_000)
    try:
        await found.start()
        yield found
    finally:
        found.close()


async def test_a_promoted_replica_takes_over_without_an_error(cluster: RedisCluster) -> None:
    async with place(cluster.url, **PATIENT).opened() as driver:
        journal, place_of_sarah = Journal(driver, SARAH), _master_of(cluster, SARAH)
        await journal.append(puts=[state(1)])
        stop = asyncio.Event()
        writing = asyncio.ensure_future(_keep_appending(journal, stop))
        replica = cluster.replicas[place_of_sarah]
        replica.execute("CLUSTER", "FAILOVER")
        await cluster.promoted(replica)
        seen = journal.tip.seq
        while journal.tip.seq < seen + 20:
            await asyncio.sleep(0.01)
        stop.set()
        await writing
        seqs = [record.seq for record in await driver.records(SARAH, 0, 100_000)]
        assert seqs == list(range(1, journal.tip.seq + 1))


async def test_a_killed_master_is_replaced(cluster: RedisCluster) -> None:
    async with place(cluster.url, wait_replicas="1").opened() as driver:
        crowd = [Journal(driver, Scope("default", f"user-{number}")) for number in range(30)]
        await asyncio.gather(*(journal.append(puts=[state(1)]) for journal in crowd))
        gone = _master_of(cluster, crowd[0].scope)
        cluster.masters[gone].kill()
        outcomes = await driver.append([item(journal.scope, journal.tip) for journal in crowd])
        for journal, outcome in zip(crowd, outcomes, strict=True):
            lives = _bucket_slot(journal.scope) * 3 // 16_384 != gone
            assert outcome is (Outcome.APPENDED if lives else Outcome.UNKNOWN)
        await cluster.promoted(cluster.replicas[gone])
        await until_served(lambda: driver.due(1, 10))
        for journal, outcome in zip(crowd, outcomes, strict=True):
            tip = await tip_now(driver, journal.scope)
            assert tip == journal.tip or (tip.seq == 2 and outcome is not Outcome.CONFLICT)
        assert len(await driver.users("default", "", 100)) == 30
        cluster.masters[gone].start()


async def test_nothing_is_torn_while_a_bucket_moves(cluster: RedisCluster) -> None:
    async with place(cluster.url, **PATIENT).opened() as driver:
        journal, neighbour = Journal(driver, SARAH), Journal(driver, _in_bucket_of(SARAH))
        await journal.append(puts=_marked(1))
        await neighbour.append()
        source = _master_of(cluster, SARAH)
        target = cluster.masters[(source + 1) % 3]
        stop = asyncio.Event()
        writing = asyncio.ensure_future(_keep_marking(journal, stop))
        reading = asyncio.ensure_future(_keep_loading(driver, stop))
        newcomer = Journal(driver, _in_bucket_of(SARAH, 1))
        await _move(_bucket_slot(SARAH), cluster, cluster.masters[source], target)
        await newcomer.append()
        seen = journal.tip.seq
        while journal.tip.seq < seen + 10:
            await asyncio.sleep(0.01)
        stop.set()
        await asyncio.gather(writing, reading)
        assert [record.seq for record in await driver.records(SARAH, 0, 100_000)] == list(range(1, journal.tip.seq + 1))
        assert len(await driver.users("default", "", 10)) == 3
        assert int(target.execute("CLUSTER", "COUNTKEYSINSLOT", _bucket_slot(SARAH))) > 5


async def test_a_frozen_master_holds_up_only_its_own_users(cluster: RedisCluster) -> None:
    async with place(cluster.url).opened() as driver:
        crowd = [Journal(driver, Scope("default", f"user-{number}")) for number in range(30)]
        await asyncio.gather(*(journal.append() for journal in crowd))
        frozen = _master_of(cluster, crowd[0].scope)
        cluster.masters[frozen].freeze()
        for journal in crowd:
            if _master_of(cluster, journal.scope) != frozen:
                await journal.append()
        with pytest.raises(StorageUnavailable):
            await driver.tips([crowd[0].scope])
        cluster.masters[frozen].thaw()
        await until_served(lambda: driver.tips([journal.scope for journal in crowd]))


async def test_scripts_are_sent_to_every_master(cluster: RedisCluster) -> None:
    async with place(cluster.url).opened() as driver:
        scopes = [Scope("default", f"user-{number}") for number in range(30)]
        for number in range(2):
            batch = [item(scope, tip) for scope, tip in zip(scopes, await driver.tips(scopes), strict=True)]
            assert set(await driver.append(batch)) == {Outcome.APPENDED}
            assert list(await driver.tips(scopes)) == [tip_of(appended) for appended in batch]
            cluster.masters[number].execute("SCRIPT", "FLUSH")


async def test_who_is_due_and_who_there_is_is_asked_of_every_master(cluster: RedisCluster) -> None:
    async with place(cluster.url).opened() as driver:
        scopes = [Scope("default", f"user-{number:03}") for number in range(300)]
        batch = [item(scope, EMPTY, due=1 + number) for number, scope in enumerate(scopes)]
        assert set(await driver.append(batch)) == {Outcome.APPENDED}
        expected = [Due(scope, 1 + number) for number, scope in enumerate(scopes)]
        for before, limit in ((5, 10), (300, 40), (1_000, 1_000)):
            assert await driver.due(before, limit) == expected[: min(before, limit)]
        for limit in (1, 100, 1_000):
            assert await driver.users("default", scopes[99].user_id, limit) == [
                scope.user_id for scope in scopes[100 : 100 + limit]
            ]


async def test_a_store_that_was_made_on_one_server_is_one_bucket_of_the_cluster(cluster: RedisCluster) -> None:
    """Its files were copied to a cluster's nodes, say: it works, all of it on one master."""
    schema = CLUSTER_KEYS.meta("schema")
    cluster.masters[key_slot(schema) * 3 // 16_384].execute("HSET", schema, "version", 1, "buckets", 1)
    async with place(cluster.url).opened() as driver:
        scopes = [Scope("default", f"user-{number:03}") for number in range(30)]
        assert set(await driver.append([item(scope, EMPTY, due=7) for scope in scopes])) == {Outcome.APPENDED}
        assert await driver.due(7, 10) == [Due(scope, 7) for scope in scopes[:10]]
        assert await driver.users("default", scopes[9].user_id, 5) == [scope.user_id for scope in scopes[10:15]]
        assert sorted(await driver.scopes(None, 100)) == scopes
        assert any("one server" in warning for warning in driver.capabilities().warnings)


def _bucket_slot(scope: Scope) -> int:
    return key_slot(CLUSTER_KEYS.of(scope).head)


def _master_of(cluster: RedisCluster, scope: Scope) -> int:
    """Return which of the masters had the user at first."""
    return next(number for number in range(3) if _bucket_slot(scope) < 16_384 * (number + 1) // 3)


def _in_bucket_of(scope: Scope, skipped: int = 0) -> Scope:
    bucket = CLUSTER_KEYS.of(scope).bucket
    found = (Scope(scope.namespace, f"neighbour-{number}") for number in range(10_000))
    return [other for other in found if CLUSTER_KEYS.of(other).bucket == bucket][skipped]


async def _move(slot: int, cluster: RedisCluster, source: Redis, target: Redis) -> None:
    """Move a slot as redis-cli does, key by key, with time in between for others."""
    names = {node.port: str(node.execute("CLUSTER", "MYID")) for node in (source, target)}
    target.execute("CLUSTER", "SETSLOT", slot, "IMPORTING", names[source.port])
    source.execute("CLUSTER", "SETSLOT", slot, "MIGRATING", names[target.port])
    while keys := source.execute("CLUSTER", "GETKEYSINSLOT", slot, 1):
        source.execute("MIGRATE", "127.0.0.1", target.port, keys[0], 0, 5_000)
        await asyncio.sleep(0.05)
    for node in (target, source, *cluster.masters):
        node.execute("CLUSTER", "SETSLOT", slot, "NODE", names[target.port])
    await until(lambda: int(source.execute("CLUSTER", "COUNTKEYSINSLOT", slot)) == 0)


def _marked(seq: int) -> Sequence[object]:
    return [state(seq), memory("first", str(seq)), run(f"r{seq}", seq)]


async def _keep_appending(journal: Journal, stop: asyncio.Event) -> None:
    while not stop.is_set():
        await journal.append(puts=[state(journal.tip.seq + 1)])


async def _keep_marking(journal: Journal, stop: asyncio.Event) -> None:
    while not stop.is_set():
        await journal.append(puts=_marked(journal.tip.seq + 1))  # type: ignore[arg-type]


async def _keep_loading(driver: Driver, stop: asyncio.Event) -> None:
    last = Tip(0, "")
    while not stop.is_set():
        loaded = await driver.load(SARAH, (RowKind.STATE, RowKind.MEMORY, RowKind.RUN))
        assert loaded.tip.seq >= last.seq
        assert loaded.tip != EMPTY
        last = loaded.tip
        assert len(loaded.rows) == 2 + loaded.tip.seq
        assert state(loaded.tip.seq) in loaded.rows
