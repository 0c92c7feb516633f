"""The writer: groups, what goes wrong inside them, and the file under it."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from sqlite_stores import SARAH, append_after, applied, commits_in_log, grown, opened, tip_after

from memsvc.errors import InvalidArgument, Reason, StorageUnavailable
from memsvc.model import Scope
from memsvc.storage.driver import EMPTY, Outcome, Record, RecordKind, Row, RowKind
from memsvc_drivers.sqlite.errors import unavailable
from memsvc_drivers.sqlite.locks import Turnstile


async def test_batches_that_wait_together_share_a_commit(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    async with opened(path) as driver:
        turnstile = Turnstile(path, 5.0, 0o600)
        before = commits_in_log(path)
        with turnstile.turn():
            batches = [[append_after(EMPTY, Scope("default", f"user-{number}"))] for number in range(32)]
            calls = [asyncio.ensure_future(driver.append(batch)) for batch in batches]
            await asyncio.sleep(0)
        assert await asyncio.gather(*calls) == [[Outcome.APPENDED]] * 32
        # The writer may have set out with some of them before the others were there.
        assert commits_in_log(path) - before <= 2
        turnstile.close()


async def test_merged_batches_of_one_user_are_applied_one_after_the_other(tmp_path: Path) -> None:
    async with opened(tmp_path / "store.db") as driver:
        first = append_after(EMPTY)
        second = append_after(tip_after(first))
        late = append_after(EMPTY)
        outcomes = await asyncio.gather(*(driver.append([item]) for item in (first, second, late)))
        assert outcomes == [[Outcome.APPENDED], [Outcome.APPENDED], [Outcome.CONFLICT]]


async def test_a_cancelled_append_harms_nobody(tmp_path: Path) -> None:
    async with opened(tmp_path / "store.db") as driver:
        item = append_after(EMPTY)
        call = asyncio.ensure_future(driver.append([item]))
        await asyncio.sleep(0)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await driver.ping()
        assert await driver.tips([SARAH]) == [tip_after(item)]


async def test_an_item_that_sqlite_refuses_fails_alone(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    stray, sound = Scope("default", "stray"), Scope("default", "sound")
    async with opened(path) as driver:
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("INSERT INTO memsvc_journal VALUES ('default', 'stray', 1, '', 'commit', 0, x'')")
            connection.commit()
        batch = [append_after(EMPTY, Scope("default", "first")), append_after(EMPTY, stray), append_after(EMPTY, sound)]
        assert await driver.append(batch) == [Outcome.APPENDED, Outcome.UNKNOWN, Outcome.APPENDED]
        assert await driver.tips([stray, sound]) == [EMPTY, tip_after(batch[2])]


async def test_a_name_without_utf8_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    async with opened(tmp_path / "store.db") as driver:
        torn = Scope("default", "half \ud83d")
        with pytest.raises(InvalidArgument):
            await driver.append([append_after(EMPTY), append_after(EMPTY, torn)])
        assert await driver.tips([SARAH]) == [EMPTY]
        with pytest.raises(InvalidArgument):
            await driver.tips([torn])
        with pytest.raises(InvalidArgument):
            await driver.load(torn, [RowKind.MEMORY])


async def test_a_full_database_says_so_and_serves_reads(tmp_path: Path) -> None:
    async with opened(tmp_path / "store.db", {"max_bytes": "400000"}) as driver:
        tip = await grown(driver)
        with pytest.raises(StorageUnavailable) as caught:
            await driver.append([append_after(tip, body=b"x" * 1_000_000)])
        assert caught.value.reason is Reason.STORAGE_FULL
        assert await driver.tips([SARAH]) == [tip]
        assert await applied(driver, append_after(tip)) != tip


async def test_a_full_database_fails_its_whole_group(tmp_path: Path) -> None:
    async with opened(tmp_path / "store.db", {"max_bytes": "400000"}) as driver:
        small, large = Scope("default", "small"), Scope("default", "large")
        with pytest.raises(StorageUnavailable):
            await driver.append([append_after(EMPTY, small), append_after(EMPTY, large, body=b"x" * 1_000_000)])
        assert await driver.tips([small, large]) == [EMPTY, EMPTY]


def test_a_read_only_database_is_told_apart(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "store.db")) as connection:
        connection.execute("CREATE TABLE t (x)")
    with closing(sqlite3.connect(f"file:{tmp_path}/store.db?mode=ro", uri=True)) as connection:
        with pytest.raises(sqlite3.OperationalError) as caught:
            connection.execute("INSERT INTO t VALUES (1)")
    assert unavailable(caught.value).reason is Reason.STORAGE_FULL


async def test_a_deleted_file_takes_no_more_writes(tmp_path: Path) -> None:
    async with opened(tmp_path / "store.db") as driver:
        tip = await grown(driver)
        os.unlink(tmp_path / "store.db")
        for attempt in (driver.append([append_after(tip)]), driver.ping(), driver.tips([SARAH])):
            with pytest.raises(StorageUnavailable, match="replaced"):
                await attempt
        assert not (tmp_path / "store.db").exists()
        # Whoever writes in groups asks this first, and is not to be stopped by it.
        assert driver.capabilities().durable.supported


async def test_a_replaced_file_is_left_alone(tmp_path: Path) -> None:
    async with opened(tmp_path / "other.db") as driver:
        await grown(driver, records=3)
    async with opened(tmp_path / "store.db") as driver:
        tip = await grown(driver)
        os.replace(tmp_path / "other.db", tmp_path / "store.db")
        before = (tmp_path / "store.db").read_bytes()
        with pytest.raises(StorageUnavailable):
            await driver.append([append_after(tip)])
        assert (tmp_path / "store.db").read_bytes() == before


async def test_a_damaged_page_is_unavailable_until_it_is_mended(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    async with opened(path) as driver:
        tip = await grown(driver)
    with closing(sqlite3.connect(path)) as connection:
        [(root,)] = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'memsvc_journal'").fetchall()
    sound = path.read_bytes()
    start = (root - 1) * 4096
    async with opened(path) as driver:
        overwrite(path, start, bytes(4096))
        with pytest.raises(StorageUnavailable):
            await driver.append([append_after(tip)])
        overwrite(path, start, sound[start : start + 4096])
        assert await applied(driver, append_after(tip)) != tip


def overwrite(path: Path, start: int, content: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(start)
        file.write(content)


async def test_close_may_be_cancelled_and_is_finished_all_the_same(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    async with opened(path) as driver:
        item = append_after(EMPTY, puts=[Row(RowKind.STATE, "", b"{}")])
        call = asyncio.ensure_future(driver.append([item]))
        await asyncio.sleep(0)
        closing_call = asyncio.ensure_future(driver.close())
        await asyncio.sleep(0)
        closing_call.cancel()
        await driver.close()
        assert await call == [Outcome.APPENDED]
    assert not Path(f"{path}-wal").exists()


async def test_a_driver_can_be_opened_again(tmp_path: Path) -> None:
    async with opened(tmp_path / "store.db") as driver:
        tip = await grown(driver)
        await driver.close()
        await driver.open()
        assert await driver.tips([SARAH]) == [tip]
        assert driver.generation == 2


async def test_the_log_is_cut_at_its_cap(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    options = {"wal_cap_bytes": str(256 << 10), "checkpoint_bytes": str(1 << 30)}
    async with opened(path, options) as driver:
        tip = EMPTY
        largest = 0
        for _ in range(20):
            tip = await applied(driver, append_after(tip, body=b"x" * 100_000))
            await driver.ping()
            largest = max(largest, Path(f"{path}-wal").stat().st_size)
        assert largest < 600 << 10
        assert [len(record.body) for record in await driver.records(SARAH, 0, 100)] == [100_000] * 20


async def test_many_records_of_one_append_are_kept_in_order(tmp_path: Path) -> None:
    async with opened(tmp_path / "store.db") as driver:
        records = [Record(seq, f"{seq:016x}", RecordKind.RUN, seq, bytes([seq])) for seq in range(1, 201)]
        item = append_after(EMPTY)
        await driver.append([type(item)(scope=SARAH, after=EMPTY, records=records)])
        assert await driver.records(SARAH, 0, 500) == records
