"""Redis behind Sentinels: the master is found, and found again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import pytest
from redis.exceptions import ResponseError
from redis_stores import KEYS, Sentinel, place, until, until_served

from memsvc.model import Scope
from memsvc.storage.conformance.items import Journal, state, tip_now
from memsvc.storage.driver import RowKind, StorageUnavailable
from tests.servers.redis import Redis

pytestmark = pytest.mark.redis

SARAH = Scope("default", "sarah")


@dataclass
class Watched:
    """A master, its replica, and who watches them."""

    master: Redis
    replica: Redis
    sentinel: Sentinel

    @property
    def url(self) -> str:
        return f"redis+sentinel://127.0.0.1:1,127.0.0.1:{self.sentinel.port}/memories"


@pytest.fixture
async def watched(own_redis: Callable[..., Redis]) -> AsyncIterator[Watched]:
    master, replica = own_redis(), own_redis()
    replica.execute("REPLICAOF", "127.0.0.1", master.port)
    await until(lambda: replica.execute("ROLE")[3] == "connected")
    sentinel = Sentinel(master)
    try:
        sentinel.start()
        await until(lambda: len(sentinel.execute("SENTINEL", "REPLICAS", "memories")) == 1)
        yield Watched(master, replica, sentinel)
    finally:
        sentinel.close()


async def test_the_master_is_found_whichever_sentinel_answers(watched: Watched) -> None:
    async with place(watched.url).opened() as driver:
        await Journal(driver, SARAH).append(puts=[state(1)])
        assert watched.master.execute("DBSIZE") > 3
        assert any("wait_replicas" in warning for warning in driver.capabilities().warnings)


async def test_a_failover_is_followed(watched: Watched) -> None:
    async with place(watched.url).opened() as driver:
        journal = Journal(driver, SARAH)
        await journal.append(puts=[state(1)])
        await until(lambda: _fails_over(watched.sentinel))
        await until(lambda: watched.replica.execute("ROLE")[0] == "master")
        # The old master may not know it for seconds, and would take what it then loses.
        await until(lambda: _callers(watched.replica) > 0)
        assert await tip_now(driver, SARAH) == journal.tip
        await journal.append(puts=[state(2)])
        assert watched.replica.execute("GET", KEYS.of(SARAH).head).startswith("2 ")


async def test_a_killed_master_is_replaced(watched: Watched) -> None:
    async with place(watched.url).opened() as driver:
        journal = Journal(driver, SARAH)
        await journal.append(puts=[state(1)])
        await until(lambda: watched.replica.execute("DBSIZE") == watched.master.execute("DBSIZE"))
        watched.master.kill()
        with pytest.raises(StorageUnavailable):
            await driver.ping()
        await until_served(driver.ping)
        assert list((await driver.load(SARAH, [RowKind.STATE])).rows) == [state(1)]
        await journal.append(puts=[state(2)])
        assert watched.replica.execute("ROLE")[0] == "master"


async def test_a_name_that_sentinels_do_not_know_is_told(watched: Watched) -> None:
    async with asyncio.timeout(10):
        with pytest.raises(StorageUnavailable, match="no master by the name"):
            await place(watched.url.replace("/memories", "/others")).connect().open()
        with pytest.raises(StorageUnavailable):
            await place(f"redis+sentinel://127.0.0.1:{watched.master.port}/memories").connect().open()


def _callers(server: Redis) -> int:
    """Return how many connections there are but the Sentinel's and this one."""
    clients = server.execute("CLIENT", "LIST", "TYPE", "normal").splitlines()
    return sum("name=sentinel" not in client for client in clients) - 1


def _fails_over(sentinel: Sentinel) -> bool:
    try:
        return sentinel.execute("SENTINEL", "FAILOVER", "memories") == "OK"
    except ResponseError:
        # It has not heard from the replica yet.
        return False
