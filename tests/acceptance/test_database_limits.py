"""What a memsvc process does when its database is full, read-only or out of connections, or another node takes over."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from memsvc.v1 import admin_pb2
from memsvc.v1.admin_pb2_grpc import AdminServiceStub
from tests.acceptance.outages import LATE, LATEST_READ, STALE_READS, UNAVAILABLE, Service, creation, failure_of, served
from tests.conftest import must_have
from tests.servers.postgres import Postgres, Standby
from tests.servers.redis import Redis, RedisCluster

pytestmark = pytest.mark.timeout(120)

FULL = ("UNAVAILABLE", "STORAGE_FULL", True)
CONNECTIONS = 12


@pytest.mark.postgresql
async def test_a_read_only_postgres_refuses_writes_until_it_takes_them_again(
    own_postgres: Callable[..., Postgres], tmp_path: Path
) -> None:
    database = own_postgres()
    async with served(database.url, tmp_path) as service:
        await service.write_until_good()
        database.configure(default_transaction_read_only="on")
        answer = await service.write()
        while "failure" not in answer:
            answer = await service.write()
        assert failure_of(answer) == FULL
        for call in STALE_READS:
            assert "failure" not in await service.server.answer(call)
        database.configure(default_transaction_read_only="off")
        await service.write_until_good()
        assert service.failures <= {FULL, UNAVAILABLE, LATE}
        assert set(await service.texts()) == service.acknowledged


@pytest.mark.postgresql
async def test_a_postgres_without_free_connections_is_unavailable_until_there_are(
    own_postgres: Callable[..., Postgres], tmp_path: Path
) -> None:
    database = own_postgres({"max_connections": str(CONNECTIONS), "superuser_reserved_connections": "0"})
    async with served(database.url, tmp_path) as service:
        await service.write_until_good()
        async with hogged(database):
            for call in STALE_READS:
                assert "failure" not in await service.server.answer(call)
            assert await service.refusal(LATEST_READ) == UNAVAILABLE
            assert await service.refusal(creation("Never acknowledged")) == UNAVAILABLE
        await service.write_until_good()
        assert set(await service.texts()) == service.acknowledged


@pytest.mark.redis
async def test_a_full_redis_refuses_writes_answers_reads_and_takes_writes_again(
    own_redis: Callable[..., Redis], tmp_path: Path
) -> None:
    database = own_redis({"maxmemory": "6mb"})
    async with served(database.url, tmp_path) as service:
        answer = await service.write(size=8_000)
        while "failure" not in answer:
            answer = await service.write(size=8_000)
        assert failure_of(answer) == FULL
        assert set(await service.texts()) == service.acknowledged
        database.execute("CONFIG", "SET", "maxmemory", "0")
        await service.write_until_good()
        assert set(await service.texts()) == service.acknowledged


@pytest.mark.postgresql
@pytest.mark.parametrize("synchronous", [True, False], ids=["synchronous", "asynchronous"])
async def test_a_promoted_postgres_standby_takes_over(
    synchronous: bool, own_postgres: Callable[..., Postgres], tmp_path: Path, measured: Callable[[str], None]
) -> None:
    primary = own_postgres()
    standby = Standby(primary)
    try:
        standby.start()
        if synchronous:
            standby.confirm_commits()
        hosts = f"127.0.0.1:{primary.port},127.0.0.1:{standby.port}"
        async with served(f"postgresql://postgres@{hosts}/postgres", tmp_path) as service:
            await service.write_until_good()
            assert await capability(service, "failover") is synchronous
            async with service.writing():
                await written(service, 30)
                primary.kill()
                standby.promote()
                seconds = await service.write_until_good()
                measured(f"PostgreSQL standby promoted: first good call {seconds:.3f} s after it took writes")
            assert service.failures <= {UNAVAILABLE, LATE}, service.process.log_tail()
            texts = Counter(await service.texts())
            assert max(texts.values()) == 1
            if synchronous:
                assert service.acknowledged <= set(texts)
    finally:
        standby.close()


@pytest.mark.redis
async def test_a_redis_cluster_goes_on_with_the_replica_of_a_killed_master(
    tmp_path: Path, measured: Callable[[str], None]
) -> None:
    cluster = must_have(RedisCluster)
    try:
        await cluster.start()
        async with served(cluster.url, tmp_path) as service:
            await service.write_until_good()
            assert not await capability(service, "failover")
            async with service.writing():
                await written(service, 30)
                (at,) = (each for each in range(3) if cluster.masters[each].execute("KEYS", "*:head:*"))
                cluster.masters[at].kill()
                await cluster.promoted(cluster.replicas[at])
                seconds = await service.write_until_good()
                measured(
                    f"Redis cluster, master killed: first good call {seconds:.3f} s after its replica was promoted"
                )
            assert service.failures <= {UNAVAILABLE, LATE}, service.process.log_tail()
            assert max(Counter(await service.texts()).values()) == 1
    finally:
        cluster.close()


async def written(service: Service, count: int) -> None:
    """Return when so many writes more are acknowledged."""
    enough = len(service.acknowledged) + count
    while len(service.acknowledged) < enough:
        await service.write()


async def capability(service: Service, name: str) -> bool:
    """Return whether the driver reports a capability."""
    stub: Any = AdminServiceStub(service.server.channel)
    info = await stub.GetServerInfo(admin_pb2.GetServerInfoRequest())
    (found,) = [each for each in info.capabilities if each.name.lower() == name]
    return bool(found.supported)


@asynccontextmanager
async def hogged(database: Postgres) -> AsyncIterator[None]:
    """Take every connection that the server has, also those that memsvc had."""
    async with AsyncExitStack() as stack:
        taken: list[asyncpg.Connection] = []
        while len(taken) < CONNECTIONS:
            try:
                taken.append(await asyncpg.connect(database.url))
            except asyncpg.TooManyConnectionsError:
                mine = [connection.get_server_pid() for connection in taken]
                others = "FROM pg_stat_activity WHERE pid <> ALL($1) AND backend_type = 'client backend'"
                await taken[0].execute(f"SELECT pg_terminate_backend(pid) {others}", mine)
            else:
                stack.push_async_callback(taken[-1].close)
        yield
