"""The tables, as people and other programs see them."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from importlib.resources import files
from pathlib import Path

import msgspec
import pytest
from sqlite_stores import append_after, applied, opened

from memsvc.errors import Reason, SchemaMismatch, StorageUnavailable
from memsvc.model import (
    Extraction,
    ExtractionState,
    Layer,
    Memory,
    Message,
    Origin,
    Role,
    Run,
    Session,
    TextPart,
    encode,
)
from memsvc.storage.driver import EMPTY, Migration, Row, RowKind
from memsvc_drivers.sqlite.core import compile_statements
from memsvc_drivers.sqlite.driver import SQLiteDriver
from memsvc_drivers.sqlite.statements import COMPILED, Compiled

TIME = 1_763_715_600_123_456

MEMORY = Memory(
    memory_id="m1",
    number=3,
    layer=Layer.PROFILE,
    text="Sarah skis",
    topics=("hobbies", "winter"),
    input="I ski",
    origin=Origin(agent_id="support", team_id="blue", session_id="s1"),
    create_time=TIME,
    update_time=TIME,
)


def selected(path: Path, sql: str) -> list[dict[str, object]]:
    with closing(sqlite3.connect(path)) as connection:
        connection.row_factory = sqlite3.Row
        return [dict(row) for row in connection.execute(sql)]


async def test_a_memory_is_a_row_that_people_can_read(tmp_path: Path) -> None:
    async with opened(tmp_path / "store.db") as driver:
        await applied(driver, append_after(EMPTY, puts=[Row(RowKind.MEMORY, "m1", encode(MEMORY), position=3)]))
        [row] = selected(tmp_path / "store.db", "SELECT * FROM memsvc_memories")
    assert row == {
        "namespace": "default",
        "user_id": "sarah",
        "memory_id": "m1",
        "memory": "Sarah skis",
        "topics": '["hobbies","winter"]',
        "input": "I ski",
        "agent_id": "support",
        "team_id": "blue",
        "updated_at": "2025-11-21T09:00:00.123Z",
        "layer": "profile",
        "key": None,
        "value": None,
        "number": 3,
        "session_id": "s1",
        "polarity": None,
        "trust": "stated",
        "created_at": "2025-11-21T09:00:00.123Z",
        "observed_at": None,
        "expires_at": None,
        "body": encode(MEMORY).decode(),
    }


async def test_runs_sessions_and_extractions_are_readable(tmp_path: Path) -> None:
    run = Run(
        session_id="s1",
        run_id="r1",
        index=1,
        messages=(Message(Role.USER, (TextPart("hello"),)),),
        agent_id="support",
        create_time=TIME,
    )
    session = Session(session_id="s1", run_count=1, message_count=2, update_time=TIME)
    extraction = Extraction(extraction_id="e1", state=ExtractionState.FAILED, reason="GAVE_UP", session_id="s1")
    puts = [
        Row(RowKind.RUN, "r1", encode(run), "s1", 1),
        Row(RowKind.SESSION, "s1", encode(session), position=1),
        Row(RowKind.EXTRACTION, "e1", encode(extraction), position=1),
    ]
    async with opened(tmp_path / "store.db") as driver:
        await applied(driver, append_after(EMPTY, puts=puts))
    path = tmp_path / "store.db"
    [found] = selected(path, "SELECT session_id, run_index, agent_id, created_at FROM memsvc_runs")
    assert tuple(found.values()) == ("s1", 1, "support", "2025-11-21T09:00:00.123Z")
    [found] = selected(path, "SELECT run_count, message_count, updated_at FROM memsvc_sessions")
    assert tuple(found.values()) == (1, 2, "2025-11-21T09:00:00.123Z")
    [found] = selected(path, "SELECT kind, state, reason, session_id FROM memsvc_extractions")
    assert tuple(found.values()) == ("runs", "failed", "GAVE_UP", "s1")


async def test_a_body_that_is_not_json_is_kept_all_the_same(tmp_path: Path) -> None:
    async with opened(tmp_path / "store.db") as driver:
        row = Row(RowKind.MEMORY, "m1", b"not \xff json \0 at all", position=1)
        await applied(driver, append_after(EMPTY, puts=[row]))
        assert await driver.get(append_after(EMPTY).scope, RowKind.MEMORY, ["m1"]) == {"m1": row}
        assert selected(tmp_path / "store.db", "SELECT memory FROM memsvc_memories") == [{"memory": None}]


def test_the_compiled_statements_are_those_of_the_source() -> None:
    compiled = files("memsvc_drivers").joinpath(COMPILED).read_bytes()
    assert msgspec.json.decode(compiled, type=Compiled) == compile_statements(), "run: make gen"


async def test_tables_may_be_called_by_words_of_sql(tmp_path: Path) -> None:
    names = {"table_rows": "order", "table_memories": "select", "table_heads": "table", "table_journal": "Group"}
    driver = SQLiteDriver(f"sqlite:///{tmp_path}/store.db", names)
    await driver.open()
    await applied(driver, append_after(EMPTY, puts=[Row(RowKind.MEMORY, "m1", encode(MEMORY), position=3)]))
    await driver.close()
    assert selected(tmp_path / "store.db", 'SELECT memory FROM "select"') == [{"memory": "Sarah skis"}]


async def test_a_check_says_what_would_be_done_and_makes_nothing(tmp_path: Path) -> None:
    driver = SQLiteDriver(f"sqlite:///{tmp_path}/folder/store.db", {})
    assert await driver.migrate(check=True) == Migration(found=0, wanted=1, steps=("create the tables",))
    assert list(tmp_path.iterdir()) == []
    assert await driver.migrate() == Migration(found=0, wanted=1, steps=("create the tables",))
    assert await driver.migrate(check=True) == await driver.migrate() == Migration(found=1, wanted=1)


async def test_a_check_says_where_no_store_can_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageUnavailable, match="folder cannot be used: Not a directory"):
        await SQLiteDriver(f"sqlite:///{tmp_path}/file/deeper/store.db", {}).migrate(check=True)
    # Whoever may write everywhere runs tests, too.
    monkeypatch.setattr(os, "access", lambda place, mode: False)
    with pytest.raises(StorageUnavailable, match=f"folder cannot be used: {tmp_path} cannot be written"):
        await SQLiteDriver(f"sqlite:///{tmp_path}/folder/store.db", {}).migrate(check=True)


async def test_a_file_that_is_no_database_is_refused_and_untouched(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("These are my notes, and not a database. " * 100)
    before = path.read_bytes()
    for attempt in (SQLiteDriver.open, SQLiteDriver.migrate):
        with pytest.raises(StorageUnavailable, match="not a database"):
            await attempt(SQLiteDriver(f"sqlite:///{path}", {}))
    assert path.read_bytes() == before


async def test_a_folder_that_cannot_be_made_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageUnavailable):
        await SQLiteDriver(f"sqlite:///{tmp_path}/file/store.db", {}).open()
    with pytest.raises(StorageUnavailable):
        await SQLiteDriver(f"sqlite:///{tmp_path}", {}).open()


async def test_somebody_elses_table_is_never_taken_over(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "app.db")) as connection:
        connection.execute("CREATE TABLE Customers (name TEXT)")
    with pytest.raises(SchemaMismatch, match="customers"):
        await SQLiteDriver(f"sqlite:///{tmp_path}/app.db", {"table_memories": "customers"}).open()
    async with opened(tmp_path / "app.db") as driver:
        await driver.ping()


async def test_other_names_than_the_store_was_made_with_are_noticed(tmp_path: Path) -> None:
    async with opened(tmp_path / "store.db"):
        pass
    with pytest.raises(SchemaMismatch, match="facts"):
        await SQLiteDriver(f"sqlite:///{tmp_path}/store.db", {"table_memories": "facts"}).open()


async def test_a_database_in_another_encoding_is_refused(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "store.db")) as connection:
        connection.execute("PRAGMA encoding = 'UTF-16'")
        connection.execute("CREATE TABLE t (x)")
    with pytest.raises(SchemaMismatch, match="UTF-8"):
        await SQLiteDriver(f"sqlite:///{tmp_path}/store.db", {}).open()


async def test_a_newer_schema_is_not_touched(tmp_path: Path) -> None:
    async with opened(tmp_path / "store.db"):
        pass
    with closing(sqlite3.connect(tmp_path / "store.db")) as connection:
        connection.execute("UPDATE memsvc_meta SET value = 99 WHERE name = 'schema_version'")
        connection.commit()
    before = (tmp_path / "store.db").read_bytes()
    with pytest.raises(SchemaMismatch) as caught:
        await SQLiteDriver(f"sqlite:///{tmp_path}/store.db", {}).open()
    assert caught.value.reason is Reason.SCHEMA_MISMATCH
    assert (tmp_path / "store.db").read_bytes() == before
