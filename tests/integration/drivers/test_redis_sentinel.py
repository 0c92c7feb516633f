"""Redis behind Sentinels: the master is found, and found again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass

import pytest
from redis.exceptions import ResponseError
from redis_stores import KEYS, Sentinel, Spokesman, place, spokesmen, until, until_served

from memsvc.errors import StorageUnavailable
from memsvc.model import Scope
from memsvc.storage.conformance.items import Journal, state, tip_now
from memsvc.storage.driver import RowKind
from memsvc_drivers.redis.nodes import Node
from memsvc_drivers.redis.settings import Address, parse_settings
from tests.servers.redis import Redis

pytestmark = pytest.mark.redis

SARAH = Scope("default", "sarah")
MakeRedis = Callable[..., Redis]


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
async def watched(own_redis: MakeRedis) -> AsyncIterator[Watched]:
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


async def test_connections_to_a_former_master_are_dropped_once_another_is_found(own_redis: MakeRedis) -> None:
    former, elected = own_redis(), own_redis()
    async with spokesmen(3, former) as told, place(_url(told)).opened() as driver:
        await until(lambda: all(spokesman.listeners for spokesman in told))
        for spokesman in told[1:]:
            spokesman.name(elected)
        while _callers(elected) == 0:
            await asyncio.gather(*(driver.tips([SARAH]) for _ in range(3)))
        await until(lambda: _callers(former) == 0)
        for number in range(10):
            await asyncio.gather(*(Journal(driver, Scope("default", f"u{number}-{i}")).append() for i in range(3)))
        assert former.execute("KEYS", "*head*") == []


async def test_a_connection_to_a_former_master_made_too_late_is_not_used(own_redis: MakeRedis) -> None:
    former, elected = (Address("127.0.0.1", own_redis().port) for _ in range(2))
    found = [former, elected]

    async def locate() -> Address:
        return found.pop(0) if len(found) > 1 else found[0]

    node = Node(parse_settings("redis://localhost", {}), locate, lambda: None)
    asking = asyncio.ensure_future(node.exchange((("CONFIG", "GET", "port"),)))
    await asyncio.sleep(0)
    node.move(elected)
    assert await asking == [[b"port", str(elected.port).encode()]]
    await node.retire()


@pytest.mark.parametrize("place_of_teller", range(3))
async def test_any_sentinel_may_tell_of_another_master(own_redis: MakeRedis, place_of_teller: int) -> None:
    former, elected = own_redis(), own_redis()
    async with spokesmen(3, former) as told, place(_url(told)).opened():
        await until(lambda: all(spokesman.listeners for spokesman in told))
        told[place_of_teller].announce(elected)
        await until(lambda: _callers(elected) > 0 and _callers(former) == 0)


async def test_a_sentinel_that_fell_silent_is_asked_anew(own_redis: MakeRedis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("memsvc_drivers.redis.connections.QUIET_SECONDS", 0.1)
    former, elected = own_redis(), own_redis()
    async with spokesmen(1, former) as told, place(_url(told)).opened():
        await until(lambda: bool(told[0].listeners))
        told[0].fall_silent()
        told[0].name(elected)
        await until(lambda: _callers(elected) > 0 and _callers(former) == 0)


def _url(told: Sequence[Spokesman]) -> str:
    hosts = ",".join(f"127.0.0.1:{spokesman.port}" for spokesman in told)
    return f"redis+sentinel://{hosts}/memories"


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
