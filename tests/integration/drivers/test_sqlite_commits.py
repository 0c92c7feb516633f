"""Tips that are known are right as long as nobody has committed, whoever it is."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from sqlite_stores import SARAH, append_after, applied, grown, opened

from memsvc.errors import StorageUnavailable
from memsvc.model import Scope
from memsvc.storage.driver import EMPTY, Outcome, Tip
from memsvc.users import Users
from memsvc_drivers.sqlite.commits import UNKNOWN, Commits
from memsvc_drivers.sqlite.driver import SQLiteDriver
from memsvc_drivers.sqlite.reads import Readers

OTHERS = """
import sqlite3, sys
held = sqlite3.connect(sys.argv[1], isolation_level=None)
for line in sys.stdin:
    held.execute("UPDATE memsvc_heads SET seq = ? WHERE user_id = 'sarah'", (int(line),))
    print("committed", flush=True)
"""
"""Another process, and no memsvc: it writes what it is told, by SQLite alone."""

LOCKED_BY_NOBODY = """
import fcntl, sys
with open(sys.argv[1], "r+b") as file:
    fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, 128)
"""
"""Takes the lock that all connections of SQLite share while they have shared memory."""


@pytest.fixture
def statements(monkeypatch: pytest.MonkeyPatch) -> list[Sequence[Scope]]:
    """Whose tips SQLite was asked for."""
    asked: list[Sequence[Scope]] = []
    read = Readers._read_tips

    def counted(readers: Readers, scopes: Sequence[Scope]) -> Sequence[Tip] | None:
        asked.append(tuple(scopes))
        return read(readers, scopes)

    monkeypatch.setattr(Readers, "_read_tips", counted)
    return asked


async def test_sqlite_is_asked_once_while_nobody_commits(tmp_path: Path, statements: list[Sequence[Scope]]) -> None:
    nobody = Scope("default", "")
    async with opened(tmp_path / "memsvc.db") as driver:
        tip = await grown(driver)
        statements.clear()
        for _ in range(3):
            assert list(await driver.tips([SARAH, nobody])) == [tip, EMPTY]
            assert list(await driver.tips([nobody])) == [EMPTY]
        assert statements == [(SARAH, nobody)]


async def test_of_users_in_ram_nothing_is_asked_while_nobody_commits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nobody = Scope("default", "")
    async with opened(tmp_path / "memsvc.db") as driver:
        tip = await grown(driver)
        users = Users(driver)
        for _ in range(2):
            assert [user.state.tip for user in await users.latest_both(SARAH, nobody)] == [tip, EMPTY]
        with monkeypatch.context() as patch:
            patch.delattr(SQLiteDriver, "tips")
            assert [user.state.tip for user in await users.latest_both(SARAH, nobody)] == [tip, EMPTY]
            assert (await users.latest(SARAH)).state.tip == tip
        tip = await grown(driver)
        assert [user.state.tip for user in await users.latest_both(SARAH, nobody)] == [tip, EMPTY]
        assert (await users.latest(SARAH)).state.tip == tip
    with pytest.raises(StorageUnavailable):
        await users.latest(SARAH)


async def test_each_commit_of_another_process_is_seen(tmp_path: Path, statements: list[Sequence[Scope]]) -> None:
    path = tmp_path / "memsvc.db"
    async with opened(path) as driver:
        [_, nonce] = await grown(driver)
        mark = driver.capabilities().commits_mark
        assert mark is not None
        seen = {mark()}
        other = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", OTHERS, str(path)), stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert other.stdin is not None
        assert other.stdout is not None
        for seq in range(10, 210):
            other.stdin.write(b"%d\n" % seq)
            assert await other.stdout.readline() == b"committed\n"
            assert mark() not in seen
            seen.add(mark())
            assert list(await driver.tips([SARAH])) == [Tip(seq, nonce)]
            assert list(await driver.tips([SARAH])) == [Tip(seq, nonce)]
        other.stdin.close()
        assert await other.wait() == 0
        # That they were the same was known each second time.
        assert statements.count((SARAH,)) <= 202


async def test_commits_are_seen_while_the_log_begins_anew_again_and_again(tmp_path: Path) -> None:
    small = {"checkpoint_bytes": str(64 << 10), "wal_cap_bytes": str(64 << 10)}
    async with opened(tmp_path / "memsvc.db", small) as driver, opened(tmp_path / "memsvc.db", small) as other:
        tip = EMPTY
        for _ in range(60):
            tip = await applied(other, append_after(tip, body=b"x" * 20_000))
            assert list(await driver.tips([SARAH])) == [tip]


async def test_a_store_that_is_closed_leaves_others_of_the_process_their_locks(tmp_path: Path) -> None:
    path = tmp_path / "memsvc.db"
    async with opened(path) as driver:
        tip = await grown(driver)
        async with opened(path) as other:
            assert list(await other.tips([SARAH])) == [tip]
        taking = subprocess.run(
            [sys.executable, "-c", LOCKED_BY_NOBODY, f"{path}-shm"], check=False, capture_output=True, text=True
        )
        assert "BlockingIOError" in taking.stderr
        assert list(await driver.tips([SARAH])) == [tip]


def test_without_shared_memory_of_the_form_that_is_known_nothing_is(tmp_path: Path) -> None:
    path = tmp_path / "memsvc.db"
    commits = Commits()
    assert commits.mark() == UNKNOWN
    for content in (None, b"", b"x" * 136):
        if content is not None:
            Path(f"{path}-shm").write_bytes(content)
        commits.look_at(path)
        assert commits.mark() == UNKNOWN
        commits.close()


def test_shared_memory_of_another_form_is_not_closed_before_the_store_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "memsvc.db"
    Path(f"{path}-shm").write_bytes(b"x" * 136)
    closed: list[int] = []
    close = os.close
    monkeypatch.setattr(os, "close", lambda descriptor: (closed.append(descriptor), close(descriptor)))
    commits = Commits()
    commits.look_at(path)
    # All of the process's locks on the file would go with it.
    assert not closed
    commits.close()
    assert len(closed) == 1


def test_while_somebody_writes_the_header_nothing_is_known(tmp_path: Path) -> None:
    path = tmp_path / "memsvc.db"
    shared = Path(f"{path}-shm")
    header = (3_007_000).to_bytes(4, sys.byteorder) + bytes(8) + b"\1" + bytes(35)
    shared.write_bytes(header + header)
    commits = Commits()
    commits.look_at(path)
    assert commits.mark() == header
    with shared.open("r+b") as file:
        file.seek(len(header) + 8)
        file.write(b"\xff")
    assert commits.mark() == UNKNOWN
    commits.close()


async def test_once_the_reading_connection_was_opened_anew_sqlite_is_asked_each_time(
    tmp_path: Path, statements: list[Sequence[Scope]]
) -> None:
    failure = sqlite3.OperationalError("disk I/O error")
    failure.sqlite_errorcode = sqlite3.SQLITE_IOERR
    async with opened(tmp_path / "memsvc.db") as driver:
        tip = await grown(driver)
        with pytest.raises(StorageUnavailable):
            driver._opened().files.readers._failed_near(failure)
        statements.clear()
        for _ in range(2):
            assert list(await driver.tips([SARAH])) == [tip]
        assert statements == [(SARAH,)] * 2


async def test_what_was_known_is_known_after_a_commit_of_its_own(
    tmp_path: Path, statements: list[Sequence[Scope]]
) -> None:
    nobody = Scope("default", "")
    async with opened(tmp_path / "memsvc.db") as driver:
        tip = await grown(driver)
        assert list(await driver.tips([SARAH, nobody])) == [tip, EMPTY]
        statements.clear()
        for _ in range(3):
            tip = await applied(driver, append_after(tip))
            assert list(await driver.tips([SARAH, nobody])) == [tip, EMPTY]
        assert statements == []


async def test_a_commit_of_another_beside_its_own_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, nobody = tmp_path / "memsvc.db", Scope("default", "")
    after_one, others = Commits.after_one, Tip(1, "0" * 16)

    def beside(commits: Commits, before: bytes) -> bytes:
        """Another process commits before this one has looked."""
        with sqlite3.connect(path, isolation_level=None) as other:
            names = "(namespace, user_id, seq, nonce, floor, due, erased)"
            other.execute(f"INSERT INTO memsvc_heads {names} VALUES ('default', '', 1, ?, 1, 0, 0)", (others.nonce,))
        return after_one(commits, before)

    async with opened(path) as driver:
        tip = await grown(driver)
        assert list(await driver.tips([SARAH, nobody])) == [tip, EMPTY]
        monkeypatch.setattr(Commits, "after_one", beside)
        tip = await applied(driver, append_after(tip))
        assert list(await driver.tips([SARAH, nobody])) == [tip, others]


async def test_who_was_moved_by_nobody_is_not_taken_to_be_known(tmp_path: Path) -> None:
    path, nobody = tmp_path / "memsvc.db", Scope("default", "")
    async with opened(path) as driver, opened(path) as other:
        tip = await grown(driver)
        assert list(await driver.tips([SARAH, nobody])) == [tip, EMPTY]
        # A conflict writes nothing: the one commit since is another's.
        moved = await applied(other, append_after(tip))
        assert list(await driver.append([append_after(tip)])) == [Outcome.CONFLICT]
        assert list(await driver.tips([SARAH, nobody])) == [moved, EMPTY]
