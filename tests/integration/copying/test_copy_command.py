from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from copying_stores import NETWORKED, Stores
from houses import contents, grow, live_in

from memsvc.model import Scope
from memsvc.storage.conformance import Place
from memsvc.storage.conformance.items import state
from memsvc.storage.registry import connect

KILLED = -signal.SIGKILL
PLACES = [f"copy.{when}_{step}" for step in ("seed", "append", "last") for when in ("before", "after")]


@asynccontextmanager
async def opened(path: Path) -> AsyncIterator[Any]:
    driver = connect(f"sqlite:///{path}")
    await driver.open()
    try:
        yield driver
    finally:
        await driver.close()


async def started(*arguments: str, place: str = "") -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "memsvc", "copy", *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, "MEMSVC_CRASH_POINT": place},
    )


async def ended(process: asyncio.subprocess.Process) -> tuple[int, str]:
    output, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, output.decode()


def between(source: Path, destination: Path | Place) -> list[str]:
    if isinstance(destination, Path):
        destination = Place(f"sqlite:///{destination}", {})
    options = [f"--to-options={name}={value}" for name, value in destination.options.items()]
    return [f"--from=sqlite:///{source}", f"--to={destination.url}", *options]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with one user whose journal takes several appends, and others."""
    path = tmp_path_factory.mktemp("source") / "memory.db"

    async def fill() -> None:
        async with opened(path) as driver:
            await live_in(driver)
            journal = await grow(driver, Scope("default", "zoe"), records=3)
            await journal.append([b"{}"] * 1_020, puts=[state(0)])
            await grow(driver, Scope("default", "zoe"), records=3)

    asyncio.run(fill())
    return path


@pytest.mark.parametrize("place", PLACES)
async def test_a_copy_that_dies_goes_on_where_it_was(place: str, source: Path, tmp_path: Path) -> None:
    destination = tmp_path / "house" / "memory.db"
    deaths = 0
    for nth in (1, 2):
        code, output = await ended(
            await started(*between(source, destination), "--concurrency=1", place=f"{place}:{nth}")
        )
        if code == 0:
            break
        assert code == KILLED, output
        deaths += 1
    assert deaths
    code, output = await ended(await started(*between(source, destination)))
    assert code == 0, output
    assert "Source and destination hold the same." in output
    async with opened(source) as first, opened(destination) as second:
        assert await contents(second) == await contents(first)


@pytest.mark.parametrize("place", ["copy.after_seed:2", "copy.after_append:1"])
@pytest.mark.parametrize("name", NETWORKED)
async def test_a_copy_to_a_server_that_dies_goes_on(name: str, place: str, source: Path, stores: Stores) -> None:
    destination = await stores.place(name)
    code, output = await ended(await started(*between(source, destination), place=place))
    assert code == KILLED, output
    code, output = await ended(await started(*between(source, destination)))
    assert code == 0, output
    async with opened(source) as first, destination.opened() as second:
        assert await contents(second) == await contents(first)


async def test_it_says_what_was_copied_and_that_it_is_the_same(source: Path, tmp_path: Path) -> None:
    destination = tmp_path / "memory.db"
    code, output = await ended(await started(*between(source, destination)))
    assert code == 0, output
    assert re.search(r"copying 5 of 5 users, [\d.]+ MB, [\d.]+ MB/s", output)
    assert "5 users copied, 0 were there already, 0 left." in output
    assert re.search(r"users\W+5\W+5\W+0\b", output)
    assert re.search(r"memory rows\W+(\d+)\W+\1\W+0\b", output)
    code, output = await ended(await started(*between(source, destination)))
    assert code == 0, output
    assert "0 users copied, 5 were there already, 0 left." in output


async def test_who_was_used_at_the_destination_is_named(source: Path, tmp_path: Path) -> None:
    destination = tmp_path / "memory.db"
    async with opened(destination) as driver:
        await grow(driver, Scope("default", "zoe"))
    code, output = await ended(await started(*between(source, destination)))
    assert code == 1, output
    assert "default/zoe was used at the destination" in output
    assert "1 users differ" in output


async def test_an_interrupted_copy_says_how_to_go_on(source: Path, tmp_path: Path) -> None:
    destination = tmp_path / "memory.db"
    process = await started(*between(source, destination), place="copy.before_seed:2:SIGSTOP")
    while Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0] != "T":
        await asyncio.sleep(0.01)
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGCONT)
    code, output = await ended(process)
    assert code == 130, output
    assert "run the same command again to go on" in output
    assert "Traceback" not in output
    code, output = await ended(await started(*between(source, destination)))
    assert code == 0, output


async def test_a_source_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    code, output = await ended(await started(*between(tmp_path / "typo.db", tmp_path / "memory.db")))
    assert code == 1
    assert "source: nothing of memsvc is kept there" in output
    assert not (tmp_path / "typo.db").exists()


async def test_an_error_names_the_side_and_says_how_to_go_on(source: Path, tmp_path: Path) -> None:
    destination = tmp_path / "memory.db"
    code, output = await ended(await started(*between(source, destination), "--to-options=max_bytes=110000"))
    assert code == 1, output
    assert "destination: " in output
    assert "run the same command again to go on" in output
    code, output = await ended(await started(*between(source, destination)))
    assert code == 0, output


async def test_a_wrong_option_names_the_side(source: Path, tmp_path: Path) -> None:
    code, output = await ended(await started(*between(source, tmp_path / "memory.db"), "--to-options=colour=red"))
    assert code == 1
    assert "destination: storage_options.colour: no such option" in output
    code, output = await ended(await started(*between(source, tmp_path / "memory.db"), "--from-options=colour"))
    assert code == 2
    assert "'colour' is not written as NAME=VALUE" in output


async def test_the_same_database_is_refused(source: Path) -> None:
    code, output = await ended(await started(*between(source, source)))
    assert code == 2
    assert "the same database" in output
