"""Erased is erased: nothing of it is left in the files, wherever SQLite may have moved it in between."""

from __future__ import annotations

import asyncio
import random
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from sqlite_stores import SARAH, append_after, applied, files_holding, opened, tip_after

from memsvc.errors import StorageUnavailable
from memsvc.model import Scope
from memsvc.storage.conformance.items import redact
from memsvc.storage.driver import EMPTY, Outcome, Redaction, Row, RowKey, RowKind, Tip
from memsvc_drivers.sqlite.driver import SQLiteDriver

KINDS = (RowKind.MEMORY, RowKind.RUN, RowKind.SESSION, RowKind.EXTRACTION, RowKind.STATE)


def mentions(scope: Scope, length: int) -> bytes:
    return b'{"memory":"secret of %s %s"}' % (scope.user_id.encode(), b"x" * length)


async def filled(driver: SQLiteDriver, users: int, rounds: int) -> dict[Scope, Tip]:
    """Let users write rows of all sizes in turns, so that pages fill, split and merge."""
    chance = random.Random(7)
    tips = {Scope("default", f"user{number:02}"): EMPTY for number in range(users)}
    for number in range(rounds):
        batch = []
        for scope, tip in tips.items():
            lengths = [chance.choice((10, 100, 700, 1_500, 5_000)) for _ in range(5)]
            puts = [
                Row(
                    kind,
                    f"{chance.getrandbits(64):x}" * (kind is not RowKind.STATE),
                    mentions(scope, length),
                    "g",
                    number,
                )
                for kind, length in zip(KINDS, lengths, strict=True)
            ]
            batch.append(append_after(tip, scope, body=mentions(scope, lengths[0]), puts=puts))
        assert set(await driver.append(batch)) == {Outcome.APPENDED}
        tips = {item.scope: tip_after(item) for item in batch}
    return tips


def assert_sound(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


async def test_nothing_of_erased_users_is_left_in_the_files(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    async with opened(path, {"checkpoint_bytes": "65536"}) as driver:
        tips = await filled(driver, users=40, rounds=25)
        gone = list(tips)[::3]
        await driver.append([append_after(tips[scope], scope, erases=True) for scope in gone])
    for scope in tips:
        assert bool(files_holding(tmp_path, b"secret of " + scope.user_id.encode())) is (scope not in gone)
    assert_sound(path)


async def test_nothing_of_redacted_records_is_left_once_it_returned(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    async with opened(path) as driver:
        tips = await filled(driver, users=40, rounds=25)
        scope, tip = next(iter(tips.items()))
        rows = (await driver.load(scope, KINDS)).rows
        item = append_after(tip, scope, deletes=[RowKey(row.kind, row.row_id) for row in rows])
        tip = await applied(driver, item)
        await redact(driver, scope, dict.fromkeys(range(1, tip.seq + 1), b"{}"))
        assert files_holding(tmp_path, b"secret of " + scope.user_id.encode()) == []
        assert len(await driver.records(scope, 0, 100)) == 26
        assert await applied(driver, append_after(tip, scope)) != tip
    assert_sound(path)


async def test_two_drivers_write_while_one_wipes(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    async with opened(path) as first, opened(path) as second:
        tips = await filled(first, users=30, rounds=15)
        scopes = list(tips)

        async def redact_some() -> None:
            for scope in scopes[:10]:
                await redact(first, scope, dict.fromkeys(range(1, 16), b"{}"))

        async def write(driver: SQLiteDriver, mine: list[Scope]) -> None:
            for _ in range(5):
                for scope in mine:
                    row = Row(RowKind.MEMORY, "m", mentions(scope, 900), position=1)
                    tips[scope] = await applied(driver, append_after(tips[scope], scope, puts=[row]))

        await asyncio.gather(redact_some(), write(first, scopes[10:20]), write(second, scopes[20:]))
        for driver in (first, second):
            assert await driver.tips(scopes) == [tips[scope] for scope in scopes]
            for scope in scopes[10:]:
                assert (await driver.get(scope, RowKind.MEMORY, ["m"]))["m"].body == mentions(scope, 900)
    assert_sound(path)


async def test_a_reader_in_the_way_is_named_and_redact_can_be_repeated(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    async with opened(path) as driver:
        await applied(driver, append_after(EMPTY, body=mentions(SARAH, 10)))
        with closing(sqlite3.connect(path, isolation_level=None)) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM memsvc_heads").fetchall()
            redaction = Redaction(1, mentions(SARAH, 10), b"{}")
            with pytest.raises(StorageUnavailable, match="repeat"):
                await driver.redact(SARAH, [redaction])
            [record] = await driver.records(SARAH, 0, 10)
            assert record.body == b"{}"
            reader.execute("COMMIT")
        await driver.redact(SARAH, [redaction])
        assert files_holding(tmp_path, b"secret of sarah") == []


async def test_a_reader_in_the_way_does_not_hold_up_an_erasure(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    async with opened(path) as driver:
        tip = await applied(driver, append_after(EMPTY, body=mentions(SARAH, 10)))
        with closing(sqlite3.connect(path, isolation_level=None)) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM memsvc_heads").fetchall()
            await applied(driver, append_after(tip, erases=True))
            reader.execute("COMMIT")
    assert files_holding(tmp_path, b"secret of sarah") == []


async def test_what_a_killed_process_left_is_wiped_by_the_next(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    async with opened(path) as driver:
        tips = await filled(driver, users=40, rounds=25)
    gone = list(tips)[::3]
    program = (
        "import asyncio, os, sys\n"
        "from memsvc.model import Scope\n"
        "from memsvc.storage.driver import Append, Record, RecordKind, Tip\n"
        "from memsvc_drivers.sqlite.driver import SQLiteDriver\n"
        "async def erase():\n"
        "    driver = SQLiteDriver('sqlite:///' + sys.argv[1], {})\n"
        "    await driver.open()\n"
        "    scopes = [Scope('default', name) for name in sys.argv[2:]]\n"
        "    tips = await driver.tips(scopes)\n"
        "    await driver.append([\n"
        "        Append(scope=s, after=t, records=[Record(t.seq + 1, 'n', RecordKind.ERASE, 1, b'')], erases=True)\n"
        "        for s, t in zip(scopes, tips)\n"
        "    ])\n"
        "    os._exit(0)\n"
        "asyncio.run(erase())\n"
    )
    names = [scope.user_id for scope in gone]
    subprocess.run([sys.executable, "-c", program, str(path), *names], check=True)
    async with opened(path):
        pass
    for scope in tips:
        assert bool(files_holding(tmp_path, b"secret of " + scope.user_id.encode())) is (scope not in gone)
    assert_sound(path)


async def test_a_free_page_that_looks_like_one_in_use_harms_no_neighbour(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    async with opened(path):
        pass
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE junk (body BLOB)")
        connection.executemany("INSERT INTO junk VALUES (?)", [(b"x" * 40_000,)] * 4)
        connection.commit()
    async with opened(path) as driver:
        tips = await filled(driver, users=20, rounds=10)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DROP TABLE junk")
        connection.commit()
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    assert pretend_in_use(path) > 10
    erased = next(iter(tips))
    async with opened(path) as driver:
        await applied(driver, append_after(tips[erased], erased, erases=True))
    assert_sound(path)
    assert files_holding(tmp_path, b"secret of " + erased.user_id.encode()) == []


def pretend_in_use(path: Path) -> int:
    """Let the free pages that a list names begin like an empty leaf of 64 KiB; return how many these are."""
    file = bytearray(path.read_bytes())
    (page_bytes, trunk) = (4096, int.from_bytes(file[32:36]))
    listed = (trunk - 1) * page_bytes
    count = int.from_bytes(file[listed + 4 : listed + 8])
    for number in range(count):
        at = listed + 8 + 4 * number
        leaf = (int.from_bytes(file[at : at + 4]) - 1) * page_bytes
        file[leaf : leaf + 8] = b"\x0d" + bytes(7)
    path.write_bytes(file)
    return count
