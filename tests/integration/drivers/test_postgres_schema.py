"""The tables of the Postgres driver: made once, refused when foreign or of another version, readable by people."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from datetime import UTC, datetime
from importlib.resources import files

import asyncpg
import msgspec
import pytest
from postgres_stores import SARAH, AnyPostgres, MakePostgres, place, refused, scratch

from memsvc.errors import SchemaMismatch
from memsvc.model import Extraction, Memory, Message, Origin, Role, Run, Session, TextPart, encode
from memsvc.storage.conformance import Place
from memsvc.storage.conformance.items import Journal
from memsvc.storage.driver import Migration, Row, RowKind
from memsvc_drivers.postgres.core import compile_statements
from memsvc_drivers.postgres.statements import COMPILED, Compiled

pytestmark = pytest.mark.postgresql

STAMP = 1_763_715_600_123_456
WHEN = datetime(2025, 11, 21, 9, 0, 0, 123_456, tzinfo=UTC)
MEMORY = Memory(
    memory_id="m1",
    number=3,
    text="Sarah skis; it's café \U0001f600",
    key="sports.winter",
    value_json='["ski"]',
    topics=("hobbies", "snow"),
    input="I ski",
    origin=Origin(agent_id="support", team_id="t1", session_id="s1"),
    create_time=STAMP,
    update_time=STAMP,
)


def test_the_compiled_statements_are_those_of_the_source() -> None:
    compiled = files("memsvc_drivers").joinpath(COMPILED).read_bytes()
    assert msgspec.json.decode(compiled, type=Compiled) == compile_statements(), "run: make gen"


async def test_people_can_read_memories_as_columns(postgres_server: AnyPostgres) -> None:
    async with scratch(postgres_server) as store, store.opened() as driver:
        row = Row(RowKind.MEMORY, "m1", encode(MEMORY), position=3)
        await Journal(driver, SARAH).append(puts=[row])
        [found] = await selected(store, "SELECT * FROM {prefix}memories")
    assert found["namespace"], found["user_id"] == ("default", "sarah")
    assert (found["memory_id"], found["memory"], found["input"]) == ("m1", MEMORY.text, "I ski")
    assert (found["topics"], found["agent_id"], found["team_id"]) == ('["hobbies", "snow"]', "support", "t1")
    assert (found["layer"], found["key"], found["value"]) == ("knowledge", "sports.winter", '["ski"]')
    assert (found["number"], found["trust"], found["session_id"]) == (3, "stated", "s1")
    assert (found["created_at"], found["updated_at"], found["expires_at"]) == (WHEN, WHEN, None)
    assert found["body"] == encode(MEMORY).decode()


async def test_people_can_read_the_rest_as_columns(postgres_server: AnyPostgres) -> None:
    messages = (Message(Role.USER, (TextPart("I ski"),)),)
    run = Run(session_id="s1", run_id="r1", index=1, messages=messages, agent_id="support", create_time=STAMP)
    session = Session(session_id="s1", run_count=1, message_count=2, update_time=STAMP)
    extraction = Extraction(extraction_id="e1", reason="GAVE_UP", session_id="s1", attempt=2)
    rows = [
        Row(RowKind.RUN, "r1", encode(run), group="s1", position=1),
        Row(RowKind.SESSION, "s1", encode(session), position=1),
        Row(RowKind.EXTRACTION, "e1", encode(extraction), position=7),
    ]
    async with scratch(postgres_server) as store, store.opened() as driver:
        await Journal(driver, SARAH).append(puts=rows)
        [found] = await selected(store, "SELECT session_id, run_index, agent_id, created_at FROM {prefix}runs")
        assert tuple(found) == ("s1", 1, "support", WHEN)
        [found] = await selected(store, "SELECT run_count, message_count, updated_at FROM {prefix}sessions")
        assert tuple(found) == (1, 2, WHEN)
        [found] = await selected(store, "SELECT kind, state, reason, attempt, accepted_seq FROM {prefix}extractions")
        assert tuple(found) == ("runs", "waiting", "GAVE_UP", 2, 7)


async def test_a_body_that_no_column_can_show_fails_no_query(postgres_server: AnyPostgres) -> None:
    bodies = {
        "nul": b'{"memory":"a\\u0000b"}',
        "half": b'{"memory":"\\ud800"}',
        "none": b"not JSON",
        "list": b"[1]",
        "times": b'{"memory":"x","update_time":9e30,"create_time":"soon"}',
    }
    async with scratch(postgres_server) as store, store.opened() as driver:
        rows = [Row(RowKind.MEMORY, name, body, position=n) for n, (name, body) in enumerate(bodies.items())]
        await Journal(driver, SARAH).append(puts=rows)
        assert await driver.get(SARAH, RowKind.MEMORY, list(bodies)) == {row.row_id: row for row in rows}
        found = await selected(store, "SELECT memory_id, memory, updated_at FROM {prefix}memories")
    shown = {row["memory_id"]: (row["memory"], row["updated_at"]) for row in found}
    assert shown == {
        "nul": ("a\ufffdb", None),
        "half": (None, None),
        "none": (None, None),
        "list": (None, None),
        "times": ("x", None),
    }


async def test_tables_may_be_called_by_words_of_sql(postgres_server: AnyPostgres) -> None:
    async with scratch(postgres_server) as store:
        names = {"table_rows": "order", "table_memories": "select", "table_heads": "table", "table_journal": "Group"}
        called = Place(store.url, {**store.options, **names})
        async with called.opened() as driver:
            journal = Journal(driver, SARAH)
            await journal.append(puts=[Row(RowKind.MEMORY, "m1", encode(MEMORY), position=3)])
            await journal.append(erases=True)
            assert await selected(called, 'SELECT memory FROM "select"') == []
        await executed(
            called,
            'DROP VIEW "select", "{prefix}runs", "{prefix}sessions", "{prefix}extractions"; '
            'DROP FUNCTION "order_json"; DROP TABLE "order", "table", "Group", "{prefix}meta"',
        )


async def test_a_check_says_what_would_be_done_and_makes_nothing(postgres_server: AnyPostgres) -> None:
    steps = ("create the tables, and the views for people",)
    async with scratch(postgres_server) as store:
        assert await store.connect().migrate(check=True) == Migration(found=0, wanted=1, steps=steps)
        assert await relations(store) == []
        assert await store.connect().migrate() == Migration(found=0, wanted=1, steps=steps)
        assert await store.connect().migrate() == Migration(found=1, wanted=1)


async def test_a_table_of_somebody_else_is_refused_and_untouched(postgres_server: AnyPostgres) -> None:
    async with scratch(postgres_server) as store:
        await executed(store, "CREATE TABLE {prefix}journal (page text)")
        with pytest.raises(SchemaMismatch, match="journal is there already"):
            await store.connect().open()
        assert len(await relations(store)) == 1


async def test_a_missing_table_is_told(postgres_server: AnyPostgres) -> None:
    async with scratch(postgres_server) as store:
        await store.connect().migrate()
        await executed(store, "DROP TABLE {prefix}journal")
        with pytest.raises(SchemaMismatch, match="journal is missing"):
            await store.connect().open()


async def test_an_older_schema_is_left_to_the_command(postgres_server: AnyPostgres) -> None:
    async with scratch(postgres_server) as store:
        await store.connect().migrate()
        await executed(store, "UPDATE {prefix}meta SET value = -1")
        with pytest.raises(SchemaMismatch, match="memsvc migrate"):
            await store.connect().open()


async def test_a_user_who_may_not_create_tables_is_told(own_postgres: MakePostgres) -> None:
    server = own_postgres()
    server.sql("CREATE ROLE reader LOGIN; REVOKE CREATE ON SCHEMA public FROM public")
    url = server.url.replace("postgres@", "reader@")
    assert "lacks a privilege" in str(await refused(place(url).connect()))


async def test_two_stores_in_schemas_of_their_own_are_apart(own_postgres: MakePostgres) -> None:
    server = own_postgres()
    server.sql("CREATE SCHEMA one; CREATE SCHEMA two")
    stores = [place(f"{server.url}?search_path={schema}") for schema in ("one", "two")]
    async with stores[0].opened() as one, stores[1].opened() as two:
        await asyncio.gather(*(Journal(driver, SARAH).append() for driver in (one, two)))
    assert server.sql("SELECT count(*) FROM one.memsvc_heads") == server.sql("SELECT count(*) FROM two.memsvc_heads")


async def selected(store: Place, query: str) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(store.url)
    try:
        return await connection.fetch(query.format(prefix=store.options["table_prefix"]))
    finally:
        await connection.close()


async def executed(store: Place, statements: str) -> None:
    connection = await asyncpg.connect(store.url)
    try:
        await connection.execute(statements.format(prefix=store.options["table_prefix"]))
    finally:
        await connection.close()


async def relations(store: Place) -> list[asyncpg.Record]:
    return await selected(
        store, "SELECT relname FROM pg_class WHERE relname LIKE '{prefix}%' AND relkind IN ('r', 'v')"
    )


def test_the_driver_imports_nothing_of_sqlalchemy() -> None:
    program = (
        "import sys, memsvc_drivers.postgres.driver; print(*(m for m in sys.modules if m.startswith('sqlalchemy')))"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout.split() == []
