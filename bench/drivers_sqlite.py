"""Compare the SQLite driver with plain sqlite3 doing the same work: `python bench/drivers_sqlite.py [folder]`."""

from __future__ import annotations

import asyncio
import secrets
import sqlite3
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from memsvc.model import Layer, Memory, Origin, Scope, encode
from memsvc.storage.driver import EMPTY, Append, Outcome, Record, RecordKind, Row, RowKind, Tip
from memsvc_drivers.sqlite import SQLiteDriver

SECONDS = 1.5
USERS = 1_000
STATE = b'{"revision":7,"next_number":12,"queue":[],"claim":{"owner":"","epoch":3},"usage":{"calls":4,"tokens":2210}}'
KINDS = [RowKind.STATE, RowKind.MEMORY, RowKind.SESSION, RowKind.EXTRACTION, RowKind.REQUEST]


def memory(number: int) -> bytes:
    """Return the body of a memory as an extraction writes it."""
    return encode(
        Memory(
            memory_id=f"{number:032x}",
            number=number,
            layer=Layer.PROFILE,
            text="Sarah lives in San Francisco and likes to ski at Tahoe in the winter",
            topics=("places", "hobbies"),
            input="I live in San Francisco and I love to ski at Tahoe",
            origin=Origin(agent_id="support", session_id="s1", engine="rules"),
            create_time=1_763_715_600_123_456,
            update_time=1_763_715_600_123_456,
        )
    )


def item(number: int, scope: Scope, after: Tip) -> Append:
    """Return what CreateMemory appends: a record, the state, a memory and a request id."""
    body = memory(number)
    seq = after.seq + 1
    return Append(
        scope=scope,
        after=after,
        records=[Record(seq, secrets.token_hex(8), RecordKind.COMMIT, 1_763_715_600_123_456, body)],
        puts=[
            Row(RowKind.STATE, "", STATE),
            Row(RowKind.MEMORY, f"{number:032x}", body, position=seq),
            Row(RowKind.REQUEST, f"{number:036x}", b'{"digest":"0011223344556677","seq":7}', position=1),
        ],
    )


async def driver_appends(driver: SQLiteDriver, writers: int, *, batched: bool) -> float:
    """Return appends a second: each writer waits for its own, or all wait for one batch."""
    tips: dict[Scope, Tip] = {}
    done = 0
    until = time.perf_counter() + SECONDS

    def following(writer: int) -> Append:
        scope = Scope("bench", f"user-{writer}-{done // writers % (USERS // writers)}-{writers}-{batched}")
        appended = item(done * 64 + writer, scope, tips.get(scope, EMPTY))
        tips[scope] = Tip(appended.records[-1].seq, appended.records[-1].nonce)
        return appended

    async def write(writer: int) -> None:
        nonlocal done
        while time.perf_counter() < until:
            outcomes = await driver.append([following(writer)])
            assert outcomes == [Outcome.APPENDED]
            done += 1

    started = time.perf_counter()
    if batched:
        while time.perf_counter() < until:
            outcomes = await driver.append([following(writer) for writer in range(writers)])
            assert set(outcomes) == {Outcome.APPENDED}
            done += writers
    else:
        await asyncio.gather(*(write(writer) for writer in range(writers)))
    return done / (time.perf_counter() - started)


def raw_appends(connection: sqlite3.Connection, group: int) -> float:
    """Return appends a second, hand-written, without a thread, a loop or any check but the compare-and-set."""
    execute = connection.execute
    done = 0
    started = time.perf_counter()
    while time.perf_counter() < started + SECONDS:
        execute("BEGIN IMMEDIATE")
        for writer in range(group):
            user = f"user-{writer}-{done // group % (USERS // group)}-{group}"
            body, nonce = memory(done).decode(), secrets.token_hex(8)
            execute(
                "INSERT INTO heads VALUES ('bench', ?, 1, ?)"
                " ON CONFLICT DO UPDATE SET seq = seq + 1, nonce = excluded.nonce",
                (user, nonce),
            )
            for table, row, text in (
                ("journal", done, body),
                ("states", "", STATE.decode()),
                ("memories", f"{done:032x}", body),
                ("requests", f"{done:036x}", '{"digest":"0011223344556677","seq":7}'),
            ):
                execute(f"INSERT OR REPLACE INTO {table} VALUES ('bench', ?, ?, 0, ?)", (user, row, text))
            done += 1
        execute("COMMIT")
    return done / (time.perf_counter() - started)


def raw_store(path: Path) -> sqlite3.Connection:
    """Return a connection to like tables without readable columns."""
    connection = sqlite3.connect(path, isolation_level=None)
    for statement in (
        "PRAGMA journal_mode = WAL",
        "PRAGMA synchronous = FULL",
        "CREATE TABLE heads (namespace, user_id, seq INT, nonce TEXT, PRIMARY KEY (namespace, user_id)) WITHOUT ROWID",
        *(
            f"CREATE TABLE {table} (namespace TEXT, user_id TEXT, row_id, position INT, body TEXT,"
            " PRIMARY KEY (namespace, user_id, row_id)) WITHOUT ROWID"
            for table in ("journal", "states", "memories", "requests")
        ),
    ):
        connection.execute(statement)
    return connection


async def microseconds(call: Callable[[], Awaitable[object]], times: int) -> float:
    """Return what one call costs."""
    await call()
    started = time.perf_counter()
    for _ in range(times):
        await call()
    return (time.perf_counter() - started) / times * 1e6


def raw_microseconds(connection: sqlite3.Connection, sql: str, values: Sequence[object], times: int) -> float:
    """Return what one query costs."""
    connection.execute(sql, values).fetchall()
    started = time.perf_counter()
    for _ in range(times):
        connection.execute(sql, values).fetchall()
    return (time.perf_counter() - started) / times * 1e6


async def fill(driver: SQLiteDriver, user_id: str, count: int) -> Scope:
    """Give a user memories."""
    scope, tip = Scope("bench", user_id), EMPTY
    for start in range(0, count, 500):
        rows = [
            Row(RowKind.MEMORY, secrets.token_hex(16), memory(number), position=number)
            for number in range(start, min(start + 500, count))
        ]
        record = Record(tip.seq + 1, secrets.token_hex(8), RecordKind.COMMIT, 1, b"{}")
        [outcome] = await driver.append([Append(scope=scope, after=tip, records=[record], puts=rows)])
        assert outcome is Outcome.APPENDED
        tip = Tip(record.seq, record.nonce)
    return scope


async def compare(folder: Path) -> None:
    driver = SQLiteDriver(f"sqlite:///{folder}/driver.db", {})
    await driver.open()
    raw = raw_store(folder / "raw.db")
    print(f"{'':34}{'raw sqlite3':>14}{'driver':>14}{'one batch':>14}")
    for writers in (1, 16, 64):
        plain = raw_appends(raw, writers)
        single = await driver_appends(driver, writers, batched=False)
        batch = await driver_appends(driver, writers, batched=True)
        print(f"appends/s, {writers:2} at once{'':13}{plain:14,.0f}{single:14,.0f}{batch:14,.0f}")
    for count in (10, 1_500):
        scope = await fill(driver, f"with-{count}", count)
        path = (folder / "driver.db").as_posix()
        reader = sqlite3.connect(path)
        sql = "SELECT memory_id, body, row_group, row_position FROM memsvc_memories WHERE namespace = ? AND user_id = ?"
        plain = raw_microseconds(reader, sql, (scope.namespace, scope.user_id), 50)
        mine = await microseconds(lambda scope=scope: driver.load(scope, KINDS), 50)  # type: ignore[misc]
        print(f"load of {count:5} memories, us{'':10}{plain:14,.1f}{mine:14,.1f}")
    sql = "SELECT seq, nonce FROM memsvc_heads WHERE namespace = ? AND user_id = ?"
    plain = raw_microseconds(reader, sql, (scope.namespace, scope.user_id), 20_000)
    mine = await microseconds(lambda: driver.tips([scope]), 20_000)
    print(f"tip, us{'':27}{plain:14,.1f}{mine:14,.1f}")
    mine = await microseconds(lambda: driver.rows(scope, RowKind.RUN, group="s1", descending=True, limit=3), 2_000)
    print(f"no run of a session, us{'':25}{mine:14,.1f}")
    mine = await microseconds(lambda: driver.due(2, 100), 2_000)
    print(f"nobody due, us{'':34}{mine:14,.1f}")
    await driver.close()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(dir=sys.argv[1] if sys.argv[1:] else None) as scratch:
        asyncio.run(compare(Path(scratch)))
