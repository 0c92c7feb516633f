"""Appends to Postgres: batches that race, items that are refused, rows that are locked, shapes of a batch."""

from __future__ import annotations

import asyncio
import random
import re
import time
from contextlib import AsyncExitStack

import asyncpg
import pytest
from postgres_stores import SARAH, AnyPostgres, MakePostgres, place, scratch, users

from memsvc.errors import InvalidArgument, StorageUnavailable
from memsvc.model import Scope
from memsvc.storage.conformance.items import Journal, applied, by_key, item, memory, request, run, state, tip_of
from memsvc.storage.driver import EMPTY, Append, Driver, Outcome, Row, RowKey, RowKind, Tip
from memsvc_drivers.postgres.connecting import Connector
from memsvc_drivers.postgres.settings import parse_settings
from memsvc_drivers.postgres.statements import Statements, statements_for
from memsvc_drivers.sql.statements import Page

TABLES = ("meta", "heads", "journal", "rows")

pytestmark = pytest.mark.postgresql


async def test_sixteen_writers_over_the_same_users_never_deadlock(own_postgres: MakePostgres) -> None:
    server = own_postgres()
    scopes = users(24)
    async with AsyncExitStack() as stack:
        drivers = [await stack.enter_async_context(place(server.url).opened()) for _ in range(4)]
        won = await asyncio.gather(*(_race(drivers[n % 4], scopes, n) for n in range(16)))
        for number, scope in enumerate(scopes):
            records = await drivers[0].records(scope, 0, 10_000)
            assert [record.seq for record in records] == list(range(1, sum(wins[number] for wins in won) + 1))
            loaded = await drivers[0].load(scope, [RowKind.STATE])
            assert loaded.tip == Tip(records[-1].seq, records[-1].nonce)
    assert server.sql("SELECT deadlocks FROM pg_stat_database WHERE datname = 'postgres'") == "0"


async def test_an_item_that_postgres_refuses_fails_alone(postgres_server: AnyPostgres) -> None:
    async with scratch(postgres_server) as store, store.opened() as driver:
        first, stray, last = users(3)
        prefix = store.options["table_prefix"]
        connection = await asyncpg.connect(store.url)
        sql = f"INSERT INTO {prefix}journal VALUES ($1, $2, 1, '', 'commit', 0, '')"
        await connection.execute(sql, stray.namespace, stray.user_id)
        await connection.close()
        batch = [item(scope, EMPTY) for scope in (first, stray, last)]
        assert await driver.append(batch) == [Outcome.APPENDED, Outcome.UNKNOWN, Outcome.APPENDED]
        assert await driver.tips([first, stray, last]) == [tip_of(batch[0]), EMPTY, tip_of(batch[2])]


async def test_a_name_that_is_no_text_is_refused_before_anything_is_written(postgres_server: AnyPostgres) -> None:
    async with scratch(postgres_server) as store, store.opened() as driver:
        for name in ("half \ud83d", "nul \0"):
            torn = Scope("default", name)
            with pytest.raises(InvalidArgument):
                await driver.append([item(SARAH, EMPTY), item(torn, EMPTY)])
            with pytest.raises(InvalidArgument):
                await driver.append([item(SARAH, EMPTY, puts=[Row(RowKind.MEMORY, name, b"{}")])])
            for call in (
                driver.tips([torn]),
                driver.load(torn, []),
                driver.users(name, "", 1),
                driver.truncate(torn, 1),
            ):
                with pytest.raises(InvalidArgument):
                    await call
        for body in (b"\xff", b'"\0"'):
            with pytest.raises(InvalidArgument):
                await driver.append([item(SARAH, EMPTY, puts=[Row(RowKind.STATE, "", body)])])
        assert await driver.tips([SARAH]) == [EMPTY]


async def test_an_erasure_that_puts_again_what_it_drops_keeps_it(postgres_server: AnyPostgres) -> None:
    async with scratch(postgres_server) as store, store.opened() as driver:
        sarah, ava = Journal(driver, SARAH), Journal(driver, Scope("default", "ava"))
        kept = [memory("m1"), request("q1", 1)]
        for journal in (sarah, ava):
            await journal.append([b"1", b"2"], puts=[state(1), *kept, run("r1", 1)])
        erasing = item(
            SARAH,
            sarah.tip,
            puts=[state(9), memory("m1", "again"), request("q1", 2)],
            deletes=[RowKey(RowKind.RUN, "r1"), RowKey(RowKind.REQUEST, "q9")],
            erases=True,
        )
        beginning = item(Scope("default", "eve"), EMPTY, puts=[memory("m1")], erases=True)
        await applied(driver, erasing, item(ava.scope, ava.tip, puts=[state(2)]), beginning)
        loaded = await driver.load(SARAH, list(RowKind))
        assert by_key(loaded.rows) == by_key([state(9), memory("m1", "again"), request("q1", 2)])
        assert by_key((await driver.load(ava.scope, list(RowKind))).rows) == by_key([state(2), *kept, run("r1", 1)])
        assert list(await driver.users("default", "", 10)) == ["ava"]


async def test_a_batch_too_large_for_one_statement_is_applied_all_the_same(postgres_server: AnyPostgres) -> None:
    async with scratch(postgres_server) as store, store.opened() as driver:
        batch = [item(scope, EMPTY, [b"x" * (3 << 20)]) for scope in users(8)]
        assert await driver.append(batch) == [Outcome.APPENDED] * len(batch)
        assert await driver.tips([each.scope for each in batch]) == [tip_of(each) for each in batch]


async def test_a_row_that_somebody_locked_does_not_pin_an_append(postgres_server: AnyPostgres) -> None:
    async with scratch(postgres_server, operation_timeout_ms="600") as store, store.opened() as driver:
        journal = Journal(driver, SARAH)
        await journal.append()
        connection = await asyncpg.connect(store.url)
        held = connection.transaction()
        await held.start()
        await connection.execute(f"SELECT FROM {store.options['table_prefix']}heads FOR UPDATE")
        started = time.monotonic()
        with pytest.raises(StorageUnavailable, match="locked for too long"):
            await driver.append([item(SARAH, journal.tip)])
        assert time.monotonic() - started < 5
        assert await driver.tips([SARAH]) == [journal.tip]
        await held.rollback()
        await connection.close()
        await journal.append()


async def test_plans_made_for_tiny_tables_are_lookups_all_the_same(postgres_server: AnyPostgres) -> None:
    async with scratch(postgres_server) as store, store.opened() as driver:
        await applied(driver, *(item(scope, EMPTY, puts=[state(1)]) for scope in users(3)))
        settings = parse_settings(*store)
        connection = await Connector(settings).connect(asyncio.get_running_loop().time() + 10)
        await connection.execute("; ".join(f'ANALYZE "{getattr(settings.names, table)}"' for table in TABLES))
        for name, sql in _statements(statements_for(settings.names)).items():
            parameters = max(map(int, re.findall(r"\$(\d+)", sql)))
            await connection.execute(f"PREPARE tried AS {sql}")
            nulls = ", ".join(["NULL"] * parameters)
            plan = [line for (line,) in await connection.fetch(f"EXPLAIN EXECUTE tried({nulls})")]
            await connection.execute("DEALLOCATE tried")
            scans = [number for number, line in enumerate(plan) if "Index" in line and "Scan using" in line]
            assert not [line for line in plan if "Seq Scan" in line], name
            assert all("Index Cond" in plan[number + 1] for number in scans), name
            # A page of users, which are all over the table, is read from the index alone.
            assert any("Index Only Scan" in line for line in plan) or name != "users"
        connection.terminate()


def _statements(statements: Statements) -> dict[str, str]:
    """Return those that must not read a whole table, whatever its size."""
    found = {f"append {shape}": sql for shape, sql in statements.appends.items()}
    for name in ("tip", "tips", "load", "records", "row", "users", "scopes", "truncate", "redact"):
        found[name] = getattr(statements, name)
    pages = [Page(True, True, True, True), Page(False, True, False, False), Page(False, False, False, True)]
    for kind in (RowKind.RUN, RowKind.SESSION, RowKind.EXTRACTION):
        found |= {f"page of {kind} by {page.name}": statements.page(kind, page) for page in pages}
    return found


async def _race(driver: Driver, scopes: list[Scope], seed: int) -> list[int]:
    """Append to all again and again, in orders of its own; return how often it won each user."""
    chance = random.Random(seed)
    won = [0] * len(scopes)
    for _ in range(12):
        order = chance.sample(range(len(scopes)), len(scopes))
        tips = await driver.tips([scopes[number] for number in order])
        batch = [_step(scopes[number], tip, chance) for number, tip in zip(order, tips, strict=True)]
        for number, outcome in zip(order, await driver.append(batch), strict=True):
            assert outcome in (Outcome.APPENDED, Outcome.CONFLICT)
            won[number] += outcome is Outcome.APPENDED
    return won


def _step(scope: Scope, tip: Tip, chance: random.Random) -> Append:
    deletes = [RowKey(RowKind.MEMORY, f"m{chance.randrange(4)}")] if chance.random() < 0.3 else []
    return item(scope, tip, puts=[state(tip.seq + 1), memory(f"n{chance.randrange(4)}")], deletes=deletes)
