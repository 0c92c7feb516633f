"""Postgres goes away and comes back: calls end in time, nothing acknowledged is lost, the driver recovers by itself."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, contextmanager

import pytest
from postgres_stores import SARAH, MakePostgres, place, refused, sessions, until, until_served, users

from memsvc.errors import Reason, StorageUnavailable
from memsvc.model import Scope
from memsvc.storage.conformance.items import Journal, item, outcome_of, state, tip_now
from memsvc.storage.conformance.proxy import proxied
from memsvc.storage.driver import EMPTY, Driver, Outcome, RowKind
from tests.servers.postgres import Postgres, Standby

pytestmark = pytest.mark.postgresql


async def test_a_killed_server_loses_nothing_acknowledged(own_postgres: MakePostgres) -> None:
    server = own_postgres()
    async with place(server.url).opened() as driver:
        journal = Journal(driver, SARAH)
        await journal.append(puts=[state(1)], due=7)
        for number in range(2, 4):
            server.kill()
            with pytest.raises(StorageUnavailable):
                await driver.tips([SARAH])
            server.start()
            await until_served(driver.ping)
            assert await tip_now(driver, SARAH) == journal.tip
            await journal.append(puts=[state(number)], due=7)
        loaded = await driver.load(SARAH, [RowKind.STATE])
        assert (loaded.tip, list(loaded.rows)) == (journal.tip, [state(3)])


async def test_a_frozen_server_ends_every_call_in_time_and_pins_no_connection(own_postgres: MakePostgres) -> None:
    server = own_postgres()
    hasty = {"connect_timeout_ms": "1000", "operation_timeout_ms": "2000"}
    async with place(server.url, pool_size="4", **hasty).opened() as driver:
        await Journal(driver, SARAH).append()
        server.freeze()
        started = time.monotonic()
        calls = [driver.append([item(scope, EMPTY)]) for scope in users(50)]
        calls += [driver.due(1, 10), driver.users("default", "", 10), driver.ping()]
        ended = await asyncio.gather(*calls, return_exceptions=True)
        assert all(isinstance(end, StorageUnavailable) for end in ended)
        assert time.monotonic() - started < 10 * 2
        server.thaw()
        await until_served(driver.ping)
        await _is_well(driver)
        await until(lambda: sessions(server) <= 4 + 1)


async def test_cancelled_calls_leave_the_pool_sound(own_postgres: MakePostgres) -> None:
    server = own_postgres()
    async with place(server.url, pool_size="3").opened() as driver:
        journal = Journal(driver, SARAH)
        await journal.append(puts=[state(1)])
        for patience in range(40):
            calls = [asyncio.ensure_future(driver.load(SARAH, list(RowKind))) for _ in range(6)]
            calls += [asyncio.ensure_future(driver.tips([SARAH])) for _ in range(3)]
            for _ in range(patience % 8):
                await asyncio.sleep(0)
            for call in calls[patience % 2 :]:
                call.cancel()
            await asyncio.gather(*calls, return_exceptions=True)
            loaded = await driver.load(SARAH, [RowKind.STATE])
            assert (loaded.tip, list(loaded.rows)) == (journal.tip, [state(1)])
        await until(lambda: sessions(server) <= 3 + 1)


async def test_connections_that_an_operator_ends_are_made_anew(own_postgres: MakePostgres) -> None:
    server = own_postgres()
    async with place(server.url).opened() as driver:
        await asyncio.gather(*(driver.ping() for _ in range(8)))
        for _ in range(3):
            server.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'memsvc'")
            await until_served(driver.ping)
            await _is_well(driver)


async def test_a_server_without_a_free_connection_says_so(own_postgres: MakePostgres) -> None:
    server = own_postgres({"max_connections": "7", "superuser_reserved_connections": "3"})
    server.sql("CREATE ROLE app LOGIN; GRANT CREATE ON SCHEMA public TO app")
    url = server.url.replace("postgres@", "app@")
    async with place(url, hints="false", pool_size="4").opened() as driver:
        await asyncio.gather(*(driver.due(1, 10) for _ in range(8)))
        assert any("max_connections" in warning for warning in driver.capabilities().warnings)
        assert "no connection left" in str(await refused(place(url).connect()))
        await driver.ping()


async def test_drivers_make_do_with_the_connections_that_the_server_has(own_postgres: MakePostgres) -> None:
    server = own_postgres({"max_connections": "7", "superuser_reserved_connections": "3"})
    server.sql("CREATE ROLE app LOGIN; GRANT CREATE ON SCHEMA public TO app")
    there = place(server.url.replace("postgres@", "app@"), hints="false", pool_size="4")
    async with there.opened() as one, there.opened() as other:
        for _ in range(5):
            await asyncio.gather(*(driver.due(1, 10) for driver in (one, other) for _ in range(8)))


async def test_a_read_only_server_is_told_apart(own_postgres: MakePostgres) -> None:
    server = own_postgres()
    async with place(server.url).opened() as driver:
        journal = Journal(driver, SARAH)
        await journal.append()
        server.configure(default_transaction_read_only="on")
        await until(lambda: server.sql("SHOW default_transaction_read_only") == "on")
        assert (await _failure_of(journal)).reason is Reason.STORAGE_FULL
        server.configure(default_transaction_read_only="off")
        await until_served(journal.append)


async def test_a_standby_is_refused_until_it_is_promoted(own_postgres: MakePostgres) -> None:
    primary = own_postgres()
    with _standby(primary) as standby:
        assert "no host is a primary" in str(await refused(place(standby.url).connect()))
        standby.promote()
        async with place(standby.url).opened() as driver:
            await _is_well(driver)


async def test_the_driver_follows_a_failover_and_keeps_what_was_acknowledged(own_postgres: MakePostgres) -> None:
    primary = own_postgres()
    with _standby(primary) as standby:
        standby.confirm_commits()
        await until(lambda: primary.sql("SELECT sync_state FROM pg_stat_replication") == "sync")
        url = f"postgresql://postgres@127.0.0.1:{standby.port},127.0.0.1:{primary.port}/postgres"
        async with place(url).opened() as driver:
            failover = driver.capabilities().failover
            assert failover.supported
            assert "promoted" in failover.reason
            journal = Journal(driver, SARAH)
            for number in range(1, 21):
                await journal.append(puts=[state(number)])
            primary.kill()
            with pytest.raises(StorageUnavailable):
                await driver.tips([SARAH])
            standby.promote()
            await until_served(lambda: driver.tips([SARAH]))
            loaded = await driver.load(SARAH, [RowKind.STATE])
            assert (loaded.tip, list(loaded.rows)) == (journal.tip, [state(20)])
            await until_served(journal.append)
            await driver.ping()
            assert not driver.capabilities().failover.supported


async def test_a_commit_that_no_standby_confirmed_is_not_acknowledged(own_postgres: MakePostgres) -> None:
    primary = own_postgres()
    with _standby(primary) as standby:
        standby.confirm_commits()
        await until(lambda: primary.sql("SELECT sync_state FROM pg_stat_replication") == "sync")
        async with place(primary.url, hints="false").opened() as driver:
            await Journal(driver, SARAH).append()
            standby.freeze()
            [scope] = users(1)
            appending = asyncio.ensure_future(driver.append([item(scope, EMPTY)]))
            waiting = "FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
            await until(lambda: primary.sql(f"SELECT count(*) {waiting}") == "1")
            primary.sql(f"SELECT pg_cancel_backend(pid) {waiting}")
            with pytest.raises(StorageUnavailable):
                await appending
            standby.thaw()
            await _is_well(driver)


async def test_a_host_that_is_silent_costs_a_moment_only(own_postgres: MakePostgres) -> None:
    server = own_postgres()
    async with proxied(("127.0.0.1", server.port)) as proxy:
        proxy.blackhole()
        url = f"postgresql://postgres@127.0.0.1:{proxy.port},127.0.0.1:{server.port}/postgres"
        async with place(url).opened() as driver:
            await _is_well(driver)


async def test_an_append_during_a_shutdown_is_whole_or_absent(own_postgres: MakePostgres) -> None:
    server = own_postgres()
    async with place(server.url).opened() as driver:
        journals = [Journal(driver, scope) for scope in users(8)]
        acknowledged: dict[Scope, int] = dict.fromkeys((journal.scope for journal in journals), 0)
        stopped = asyncio.Event()

        async def work(journal: Journal) -> None:
            while not stopped.is_set():
                try:
                    await journal.append(puts=[state(journal.tip.seq + 1)])
                except StorageUnavailable:
                    return
                acknowledged[journal.scope] = journal.tip.seq

        working = [asyncio.ensure_future(work(journal)) for journal in journals]
        async with asyncio.timeout(20):
            while not all(acknowledged.values()):
                await asyncio.sleep(0)
        await asyncio.to_thread(server.stop)
        stopped.set()
        await asyncio.gather(*working)
        server.start()
        await until_served(driver.ping)
        for scope, count in acknowledged.items():
            loaded = await driver.load(scope, [RowKind.STATE])
            assert loaded.tip.seq in (count, count + 1)
            assert list(loaded.rows) == [state(loaded.tip.seq)]


async def test_hints_name_who_moved_and_go_on_after_a_lost_connection(own_postgres: MakePostgres) -> None:
    server = own_postgres()
    async with place(server.url).opened() as one, place(server.url).opened() as other:
        journal = Journal(other, SARAH)
        await journal.append()
        await one.load(SARAH, [])
        hints = one.hints()
        try:
            for _ in range(2):
                assert await _hint_of(journal, hints) == SARAH
                server.sql(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_notify%'"
                    " OR query LIKE 'LISTEN%' OR query LIKE 'SET synchronous_commit%'"
                )
                async with asyncio.timeout(20):
                    while await anext(hints) is not None:
                        pass
        finally:
            await hints.aclose()


async def test_a_driver_does_not_hint_at_its_own_appends(own_postgres: MakePostgres) -> None:
    server = own_postgres()
    ava = Scope("default", "ava")
    async with place(server.url).opened() as one, place(server.url).opened() as other:
        await one.load(ava, [])
        hints = one.hints()
        journal = Journal(one, SARAH)
        heard: list[Scope | None] = []
        try:
            await until_listening(server)
            await journal.append()
            await Journal(other, ava).append()
            async with asyncio.timeout(20):
                while not heard or heard[-1] is None:
                    heard.append(await anext(hints))
        finally:
            await hints.aclose()
        assert SARAH not in heard


async def until_listening(server: Postgres) -> None:
    """Return once both drivers listen."""
    await until(lambda: sessions(server) >= 2)


async def _hint_of(journal: Journal, hints: AsyncIterator[Scope | None]) -> Scope:
    """Append until the hint names somebody."""
    appending = asyncio.ensure_future(_append_forever(journal))
    try:
        async with asyncio.timeout(20):
            while True:
                if (scope := await anext(hints)) is not None:
                    return scope
    finally:
        appending.cancel()
        await asyncio.gather(appending, return_exceptions=True)
        journal.tip = await tip_now(journal.driver, journal.scope)


async def _failure_of(journal: Journal) -> StorageUnavailable:
    """Append until that fails."""
    async with asyncio.timeout(20):
        while True:
            try:
                await journal.append()
            except StorageUnavailable as error:
                return error


async def _append_forever(journal: Journal) -> None:
    while True:
        await journal.append()
        await asyncio.sleep(0.05)


async def _is_well(driver: Driver) -> None:
    """A user whom nobody knew is begun, read and erased."""
    [scope] = users(1)
    begun = item(scope, EMPTY, puts=[state(1)])
    assert await outcome_of(driver, begun) is Outcome.APPENDED
    assert len((await driver.load(scope, list(RowKind))).rows) == 1


@contextmanager
def _standby(primary: Postgres) -> Iterator[Standby]:
    with ExitStack() as running:
        standby = Standby(primary)
        running.callback(standby.close)
        standby.start()
        yield standby
