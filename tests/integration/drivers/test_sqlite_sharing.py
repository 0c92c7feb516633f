"""Several drivers on one file, and what they tell each other."""

from __future__ import annotations

import asyncio
import fcntl
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlite_stores import SARAH, append_after, applied, grown, opened

from memsvc.errors import StorageUnavailable
from memsvc.storage.driver import EMPTY, Row, RowKind
from memsvc_drivers.sqlite.driver import SQLiteDriver
from memsvc_drivers.sqlite.locks import LockTimeoutError, Presence, Turnstile


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


@pytest.fixture
def held_elsewhere(database: Path) -> Iterator[subprocess.Popen[str]]:
    """Let another process hold the room."""
    program = (
        "import sys, pathlib; from memsvc_drivers.sqlite.locks import Turnstile\n"
        "with Turnstile(pathlib.Path(sys.argv[1]), 5.0, 0o600).turn(): print('in', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(database)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "in\n"
        yield process
        process.kill()


def test_nobody_goes_twice_while_another_waits(database: Path) -> None:
    mine, theirs = Turnstile(database, 5.0, 0o600), Turnstile(database, 5.0, 0o600)
    order: list[str] = []

    def go() -> None:
        with theirs.turn():
            order.append("theirs")

    other = threading.Thread(target=go)
    with mine.turn():
        order.append("mine")
        other.start()
        wait_until_locked(Path(f"{database}-line"))
    with mine.turn():
        order.append("mine")
    other.join()
    assert order == ["mine", "theirs", "mine"]
    mine.close()
    theirs.close()


def wait_until_locked(path: Path) -> None:
    file = os.open(path, os.O_RDWR)
    try:
        while True:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            fcntl.flock(file, fcntl.LOCK_UN)
    except BlockingIOError:
        pass
    finally:
        os.close(file)


def test_waiting_for_a_turn_ends(database: Path) -> None:
    mine, theirs = Turnstile(database, 5.0, 0o600), Turnstile(database, 0.01, 0o600)
    with mine.turn(), pytest.raises(LockTimeoutError):
        with theirs.turn():
            pass
    with theirs.turn():
        pass
    mine.close()
    theirs.close()


def test_who_comes_second_waits_until_the_first_has_settled(database: Path) -> None:
    first, second = Presence(database, 5.0, 0o600), Presence(database, 5.0, 0o600)
    alone: list[bool] = []
    assert first.enter()
    entering = threading.Thread(target=lambda: alone.append(second.enter()))
    entering.start()
    assert alone == []
    first.settle()
    entering.join()
    assert alone == [False]
    first.close()
    third = Presence(database, 5.0, 0o600)
    assert not third.enter()
    second.close()
    third.close()


async def test_a_frozen_neighbour_makes_writes_unavailable_and_reads_go_on(
    database: Path, held_elsewhere: subprocess.Popen[str]
) -> None:
    driver = SQLiteDriver(f"sqlite:///{database}", {"busy_timeout_ms": "50"})
    with pytest.raises(StorageUnavailable, match="another process"):
        await driver.open()
    held_elsewhere.kill()
    held_elsewhere.wait()
    await driver.open()
    tip = await grown(driver)
    turnstile = Turnstile(database, 5.0, 0o600)
    with turnstile.turn():
        with pytest.raises(StorageUnavailable, match="another process"):
            await driver.append([append_after(tip)])
        with pytest.raises(StorageUnavailable):
            await driver.ping()
        assert await driver.tips([SARAH]) == [tip]
    assert await applied(driver, append_after(tip)) != tip
    turnstile.close()
    await driver.close()


async def test_a_failed_open_leaves_nothing_locked(database: Path) -> None:
    database.write_text("no database " * 100)
    with pytest.raises(StorageUnavailable):
        await SQLiteDriver(f"sqlite:///{database}", {}).open()
    database.unlink()
    async with opened(database) as driver:
        assert driver.generation == 1


async def test_an_open_that_is_cancelled_leaves_nothing_locked(database: Path) -> None:
    opening = asyncio.ensure_future(SQLiteDriver(f"sqlite:///{database}", {}).open())
    await asyncio.sleep(0)
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    async with opened(database, {"busy_timeout_ms": "5000"}) as driver:
        await driver.ping()


async def test_the_generation_rises_only_for_who_is_alone(database: Path) -> None:
    async with opened(database) as first, opened(database) as second:
        assert (first.generation, second.generation) == (1, 1)
    async with opened(database) as third:
        assert third.generation == 2


async def test_hints_tell_of_what_others_append_and_end_at_close(database: Path) -> None:
    async with opened(database, {"hint_poll_ms": "1"}) as first, opened(database) as second:
        hints = first.hints()
        waiting = asyncio.ensure_future(anext(hints))
        await asyncio.sleep(0)
        await grown(second)
        assert await waiting is None
        rest = asyncio.ensure_future(anext(hints, "ended"))
        await asyncio.sleep(0)
        await first.close()
        assert await rest == "ended"


async def test_a_long_load_leaves_the_loop_seeing_what_others_append(database: Path) -> None:
    async with opened(database) as first, opened(database) as second:
        rows = [Row(RowKind.MEMORY, f"m{number}", b"{}", position=number) for number in range(3_000)]
        tip = await applied(first, append_after(EMPTY, puts=rows))
        loaded = await first.load(SARAH, [RowKind.MEMORY])
        assert (loaded.tip, len(loaded.rows)) == (tip, 3_000)
        tip = await grown(second)
        assert await first.tips([SARAH]) == [tip]


def test_the_driver_starts_without_sqlalchemy() -> None:
    program = "import sys, memsvc_drivers.sqlite.driver; print('sqlalchemy' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert found.strip() == "False"
