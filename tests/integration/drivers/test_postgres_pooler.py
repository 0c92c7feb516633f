"""Postgres behind a transaction pooler: another server may answer from one transaction to the next."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from postgres_stores import SARAH, MakePostgres, place, refused, until, until_served

from memsvc.errors import Reason, StorageUnavailable
from memsvc.storage.conformance.items import Journal, state, tip_now
from memsvc.storage.conformance.proxy import proxied
from memsvc.storage.driver import EMPTY, Driver, PageOf, RowKind
from tests.servers.between import PgBouncer
from tests.servers.places import free_port
from tests.servers.postgres import Postgres, Standby
from tests.servers.process import ServerMissing

pytestmark = pytest.mark.postgresql


@pytest.fixture
def primary(own_postgres: MakePostgres) -> Postgres:
    return own_postgres()


@pytest.fixture
def standby(primary: Postgres) -> Iterator[Standby]:
    with ExitStack() as running:
        standby = Standby(primary)
        running.callback(standby.close)
        standby.start()
        yield standby


@pytest.fixture
def pgbouncer() -> Iterator[Callable[..., PgBouncer]]:
    """Start a PgBouncer for a server at a port; the tests of the driver that need none hold what matters."""
    with ExitStack() as running:

        def start(server_port: int, **settings: str) -> PgBouncer:
            try:
                pooler = PgBouncer(server_port, settings)
            except ServerMissing as missing:
                pytest.skip(str(missing))
            running.callback(pooler.close)
            pooler.start()
            return pooler

        yield start


async def test_a_standby_that_a_pooler_leads_to_answers_no_read(primary: Postgres, standby: Standby) -> None:
    async with place(primary.url).opened() as driver:
        await Journal(driver, SARAH).append(puts=[state(1)])
    written = primary.sql("SELECT pg_current_wal_lsn()")
    await until(lambda: standby.sql(f"SELECT pg_last_wal_replay_lsn() >= '{written}'") == "t")
    async with proxied(("127.0.0.1", primary.port)) as proxy:
        # Whether it is a primary is asked when a connection is made: what a pooler then leads to may be another server.
        url = f"postgresql://postgres@127.0.0.1:{proxy.port}/postgres?target_session_attrs=any"
        async with place(url).opened() as trusting, place(f"{url}&pgbouncer=true").opened() as driver:
            proxy.upstream = ("127.0.0.1", standby.port)
            await proxy.reset()
            await until_served(trusting.ping)
            assert await tip_now(trusting, SARAH) != EMPTY
            await _answers_no_read(driver)
    assert "no primary" in str(await refused(place(f"{standby.url}?target_session_attrs=any&pgbouncer=true").connect()))


async def test_the_library_looks_up_types_in_one_transaction(own_postgres: MakePostgres) -> None:
    server = own_postgres({"log_statement": "all", "log_line_prefix": "<%v>"})
    async with place(server.url, transaction_pooler="true").opened() as driver:
        await Journal(driver, SARAH).append(puts=[state(1)])
        await driver.users("default", "", 10)
    statements = [entry.partition(">") for entry in server.log.read_text().split("\n<")]
    without_jit = {transaction for transaction, _, text in statements if "set_config('jit', 'off'" in text}
    lookups = {transaction for transaction, _, text in statements if "typeinfo_tree" in text}
    assert lookups
    assert lookups <= without_jit


async def test_a_failover_behind_pgbouncer_is_followed_and_keeps_what_was_acknowledged(
    primary: Postgres, standby: Standby, pgbouncer: Callable[..., PgBouncer]
) -> None:
    standby.confirm_commits()
    await until(lambda: primary.sql("SELECT sync_state FROM pg_stat_replication") == "sync")
    pooler = pgbouncer(primary.port)
    async with place(pooler.url, operation_timeout_ms="3000").opened() as driver:
        journal = Journal(driver, SARAH)
        for number in range(1, 21):
            await journal.append(puts=[state(number)])
        primary.kill()
        with pytest.raises(StorageUnavailable):
            await driver.tips([SARAH])
        pooler.point_to(standby.port)
        standby.promote()
        await until_served(lambda: driver.tips([SARAH]))
        loaded = await driver.load(SARAH, [RowKind.STATE])
        assert (loaded.tip, list(loaded.rows)) == (journal.tip, [state(20)])
        await until_served(journal.append)


async def test_a_pooler_without_a_server_is_not_taken_for_one_that_is_set_wrong(
    pgbouncer: Callable[..., PgBouncer],
) -> None:
    pooler = pgbouncer(free_port(), query_wait_timeout="1")
    error = str(await refused(place(pooler.url).connect()))
    assert "pooler has no connection to the database" in error


async def _answers_no_read(driver: Driver) -> None:
    for read in (
        lambda: driver.tips([SARAH]),
        lambda: driver.tips([SARAH, SARAH]),
        lambda: driver.load(SARAH, [RowKind.STATE]),
        lambda: driver.records(SARAH, 0, 10),
        lambda: driver.rows(PageOf(SARAH, RowKind.RUN, 10)),
        lambda: driver.get(SARAH, RowKind.RUN, ["run"]),
        lambda: driver.due(1, 10),
        lambda: driver.users("default", "", 10),
        lambda: driver.scopes(None, 10),
    ):
        with pytest.raises(StorageUnavailable) as failed:
            await read()
        assert failed.value.reason is Reason.STORAGE_UNAVAILABLE
