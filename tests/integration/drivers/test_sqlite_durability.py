"""What DURABLE stands for: each append that was acknowledged had been synced to the disk."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from sqlite_stores import opened

APPENDS = 20

APPENDING = """
import asyncio, os, sys
from contextlib import suppress
from memsvc.model import Scope
from memsvc.storage.conformance.items import Journal
from memsvc_drivers.sqlite.driver import SQLiteDriver

async def append():
    driver = SQLiteDriver(f"sqlite:///{sys.argv[1]}", {"synchronous": sys.argv[2]})
    await driver.open()
    journal = Journal(driver, Scope("default", "sarah"))
    for number in range(int(sys.argv[3])):
        await journal.append()
        # So that each acknowledgement shows among the system's calls.
        with suppress(OSError):
            os.rmdir("/acknowledged")
    await driver.close()

asyncio.run(append())
"""


@pytest.mark.parametrize(("synchronous", "durable"), [("full", True), ("normal", False), ("off", False)])
async def test_durable_is_claimed_where_sqlite_says_that_it_syncs(
    tmp_path: Path, synchronous: str, durable: bool
) -> None:
    async with opened(tmp_path / "store.db", {"synchronous": synchronous}) as driver:
        assert driver.capabilities().durable.supported is durable


async def test_durable_is_the_default(tmp_path: Path) -> None:
    async with opened(tmp_path / "store.db") as driver:
        assert driver.capabilities().durable.supported


@pytest.mark.skipif(not shutil.which("strace"), reason="strace is not installed")
@pytest.mark.parametrize(("synchronous", "synced"), [("full", APPENDS - 1), ("off", 0)])
def test_before_each_acknowledgement_the_log_is_synced(tmp_path: Path, synchronous: str, synced: int) -> None:
    calls = tmp_path / "calls"
    strace = ["strace", "-f", "-qq", "-e", "trace=fsync,fdatasync,rmdir", "-o", str(calls)]
    run = subprocess.run(
        [*strace, sys.executable, "-c", APPENDING, str(tmp_path / "store.db"), synchronous, str(APPENDS)],
        capture_output=True,
        text=True,
        check=False,
    )
    if not calls.exists() or "PTRACE" in run.stderr:
        pytest.skip("strace may not trace here")
    assert run.returncode == 0, run.stderr
    seen = re.findall(r"(f(?:data)?sync)\(|rmdir\(\"/(acknowledged)", calls.read_text())
    between = "".join("a" if acknowledged else "s" for _, acknowledged in seen).split("a")
    assert len(between) == APPENDS + 1
    # The first append finds what opening the store has synced.
    assert sum("s" in each for each in between[1:APPENDS]) == synced
