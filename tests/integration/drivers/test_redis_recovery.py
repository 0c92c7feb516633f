"""Redis goes away and comes back: calls end in time, nothing acknowledged is lost, the driver recovers by itself."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import pytest
from redis_stores import HASTY, place, until_served

from memsvc.errors import StorageUnavailable
from memsvc.model import Scope
from memsvc.storage.conformance.items import Journal, item, outcome_of, state, tip_now
from memsvc.storage.driver import EMPTY, Driver, Outcome, RowKind
from tests.servers.redis import Redis

pytestmark = pytest.mark.redis

SARAH = Scope("default", "sarah")
MakeRedis = Callable[..., Redis]


async def test_a_killed_server_loses_nothing_acknowledged(own_redis: MakeRedis) -> None:
    server = own_redis()
    async with place(server.url).opened() as driver:
        journal = Journal(driver, SARAH)
        await journal.append(puts=[state(1)], due=7)
        for number in range(2, 5):
            server.kill()
            with pytest.raises(StorageUnavailable, match="cannot be reached"):
                await driver.tips([SARAH])
            server.start()
            await until_served(driver.ping)
            assert await tip_now(driver, SARAH) == journal.tip
            await journal.append(puts=[state(number)], due=7)
        loaded = await driver.load(SARAH, [RowKind.STATE])
        assert (loaded.tip, list(loaded.rows)) == (journal.tip, [state(4)])


async def test_a_short_restart_is_only_a_delay(own_redis: MakeRedis) -> None:
    server = own_redis()
    async with place(server.url, connect_timeout_ms="20000", operation_timeout_ms="20000").opened() as driver:
        journal = Journal(driver, SARAH)
        await journal.append()
        server.kill()
        calls = [asyncio.ensure_future(driver.tips([SARAH])) for _ in range(20)]
        appending = asyncio.ensure_future(journal.append())
        await asyncio.sleep(0)
        server.start()
        for tips in await asyncio.gather(*calls):
            assert tips[0].seq in (1, 2)
        await appending
        assert await tip_now(driver, SARAH) == journal.tip


async def test_a_frozen_server_ends_every_call_in_time(own_redis: MakeRedis) -> None:
    server = own_redis()
    async with place(server.url, pool_size="4").opened() as driver:
        await Journal(driver, SARAH).append()
        server.freeze()
        started = time.monotonic()
        calls = [driver.append([item(Scope("default", f"user-{number}"), EMPTY)]) for number in range(50)]
        calls += [driver.due(1, 10), driver.users("default", "", 10), driver.ping()]
        ended = await asyncio.gather(*calls, return_exceptions=True)
        assert all(isinstance(end, StorageUnavailable) for end in ended)
        assert time.monotonic() - started < 10 * int(HASTY["operation_timeout_ms"]) / 1000
        server.thaw()
        await until_served(driver.ping)
        assert int(server.execute("INFO", "clients")["connected_clients"]) <= 4 + 8 + 2
        await _is_well(driver)


async def test_calls_that_a_frozen_server_held_are_answered(own_redis: MakeRedis) -> None:
    server = own_redis()
    async with place(server.url, operation_timeout_ms="20000").opened() as driver:
        await driver.ping()
        server.freeze()
        held = asyncio.ensure_future(outcome_of(driver, item(SARAH, EMPTY, puts=[state(1)])))
        done, _ = await asyncio.wait([held], timeout=1.0)
        assert not done
        server.thaw()
        assert await held is Outcome.APPENDED
        assert len(await driver.records(SARAH, 0, 10)) == 1


async def test_a_server_that_loads_its_data_is_waited_for(own_redis: MakeRedis) -> None:
    server = own_redis({"key-load-delay": "200"})
    async with place(server.url, connect_timeout_ms="20000", operation_timeout_ms="20000").opened() as driver:
        journal = Journal(driver, SARAH)
        await journal.append()
        with server.client() as client:
            pipeline = client.pipeline(transaction=False)
            for number in range(3_000):
                pipeline.set("ballast", number)
            pipeline.execute()
        server.kill()
        server.launch()
        assert await tip_now(driver, SARAH) == journal.tip


@pytest.mark.parametrize("unknown", [("ROLE",), ("ROLE", "INFO")])
async def test_a_server_that_does_not_tell_its_role_is_found_again(
    own_redis: MakeRedis, unknown: tuple[str, ...]
) -> None:
    server = own_redis(_without(*unknown))
    async with place(server.url).opened() as driver:
        journal = Journal(driver, SARAH)
        await journal.append()
        server.execute("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        await journal.append()
        assert await tip_now(driver, SARAH) == journal.tip


@pytest.mark.parametrize("unknown", [(), ("ROLE",)])
async def test_a_master_that_became_a_replica_is_not_read(own_redis: MakeRedis, unknown: tuple[str, ...]) -> None:
    server = own_redis(_without(*unknown))
    async with place(server.url).opened() as driver:
        journal = Journal(driver, SARAH)
        await journal.append()
        server.execute("REPLICAOF", "127.0.0.1", 1)
        with pytest.raises(StorageUnavailable, match="replica"):
            await driver.ping()
        with pytest.raises(StorageUnavailable, match="replica"):
            await driver.tips([SARAH])
        server.execute("REPLICAOF", "NO", "ONE")
        await until_served(driver.ping)
        assert await tip_now(driver, SARAH) == journal.tip


async def test_hints_go_on_after_a_restart(own_redis: MakeRedis) -> None:
    server = own_redis()
    async with place(server.url).opened() as driver:
        heard: list[Scope | None] = []
        listening = asyncio.ensure_future(_listen(driver, heard))
        journal = Journal(driver, SARAH)
        while SARAH not in heard:
            await journal.append()
            await asyncio.sleep(0.01)
        server.kill()
        server.start()
        heard.clear()
        while SARAH not in heard:
            await until_served(driver.ping)
            await journal.append()
            await asyncio.sleep(0.01)
        # First of all that some may have been missed.
        assert heard[0] is None
        await driver.close()
        await listening


async def test_cancelled_calls_take_no_connections_with_them(own_redis: MakeRedis) -> None:
    server = own_redis()
    async with place(server.url, pool_size="2").opened() as driver:
        for number in range(100):
            call = asyncio.ensure_future(driver.tips([SARAH]))
            for _ in range(number % 6):
                await asyncio.sleep(0)
            call.cancel()
            await asyncio.gather(call, return_exceptions=True)
        await _is_well(driver)
        assert int(server.execute("INFO", "clients")["connected_clients"]) <= 3


async def test_a_server_without_connections_to_give_is_made_do_with(own_redis: MakeRedis) -> None:
    server = own_redis()
    async with place(server.url, operation_timeout_ms="20000").opened() as driver:
        await driver.ping()
        server.execute("CONFIG", "SET", "maxclients", 2)
        scopes = [Scope("default", f"user-{number}") for number in range(40)]
        outcomes = await asyncio.gather(*(outcome_of(driver, item(scope, EMPTY)) for scope in scopes))
        assert set(outcomes) == {Outcome.APPENDED}


def _without(*commands: str) -> dict[str, str]:
    return {f"rename-command {command}": f"{command}-of-old" for command in commands}


async def _is_well(driver: Driver) -> None:
    journal = Journal(driver, Scope("default", "well"))
    await asyncio.gather(*(driver.ping() for _ in range(20)))
    for number in range(10):
        await journal.append(puts=[state(number)])
        assert await tip_now(driver, journal.scope) == journal.tip


async def _listen(driver: Driver, heard: list[Scope | None]) -> None:
    async for scope in driver.hints():
        heard.append(scope)  # noqa: PERF401
