"""A server that is told to go is gone in time, whatever its database does, and says what it left undone."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from memsvc_client import AsyncMemoryClient, MemoryServiceError
from tests.conftest import NETWORKED, own_database
from tests.torture.databases import Database
from tests.torture.process import Installation

DRAIN_SECONDS = 2.0
EXIT_SECONDS = 1.5
"""What an interpreter on a busy machine may take to end."""
SETTINGS = {"engine": "rules", "quiet_seconds": 0, "poll_seconds": 0.1, "drain_seconds": DRAIN_SECONDS}


@pytest.fixture(params=["sqlite", *NETWORKED])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    yield from own_database(request.param, tmp_path)


@contextmanager
def frozen(database: Database) -> Iterator[None]:
    """Let the database answer nothing; where it is a file, somebody holds its write lock."""
    if database.server is not None:
        database.server.freeze()
        yield
        database.server.thaw()
        return
    with contextlib.closing(sqlite3.connect(database.url.removeprefix("sqlite:///"))) as holder:
        holder.execute("BEGIN IMMEDIATE")
        yield


@pytest.mark.parametrize("busy", [False, True], ids=["idle", "busy"])
async def test_sigterm_with_a_frozen_database_takes_no_longer_than_the_drain(
    database: Database, tmp_path: Path, busy: bool
) -> None:
    installation = Installation(tmp_path, database.url, SETTINGS)
    async with installation.serving() as server, AsyncMemoryClient(server.target, timeout_seconds=30) as client:
        user = client.user("sarah")
        await user.memories.add("Likes tea")
        with frozen(database):
            writes = [asyncio.create_task(_written(client, number)) for number in range(20 if busy else 0)]
            # Answered without the database, and sent after the writes: they are under way.
            await client.server_info()
            started = time.monotonic()
            assert await server.stop() == 0
            assert time.monotonic() - started < DRAIN_SECONDS + EXIT_SECONDS
        await asyncio.gather(*writes)
        log = server.log.read_text()
        assert f"draining seconds={DRAIN_SECONDS}" in log
        assert "Traceback" not in log


async def test_sigterm_while_many_write_through_a_small_cache_waits_for_no_more_than_what_is_under_way(
    database: Database, tmp_path: Path
) -> None:
    installation = Installation(tmp_path, database.url, {**SETTINGS, "cache_bytes": 40_000})
    async with installation.serving() as server, AsyncMemoryClient(server.target, timeout_seconds=30) as client:
        await asyncio.gather(*(client.user(f"user-{number}").memories.add("Likes tea") for number in range(20)))
        written = asyncio.Semaphore(0)
        writes = [asyncio.create_task(_writing(client, number, written)) for number in range(20)]
        for _ in range(2 * len(writes)):
            await written.acquire()
        started = time.monotonic()
        assert await server.stop() == 0
        assert time.monotonic() - started < DRAIN_SECONDS + EXIT_SECONDS
        assert "left_undone" not in server.log.read_text()
        for write in writes:
            write.cancel()
        await asyncio.gather(*writes, return_exceptions=True)


async def _written(client: AsyncMemoryClient, number: int) -> None:
    with contextlib.suppress(MemoryServiceError):
        await client.user(f"user-{number % 7}").memories.add(f"Fact {number}", timeout=DRAIN_SECONDS / 2)


async def _writing(client: AsyncMemoryClient, number: int, written: asyncio.Semaphore) -> None:
    for fact in itertools.count():
        try:
            await client.user(f"user-{number}").memories.add(f"Fact {fact}", timeout=DRAIN_SECONDS)
        except MemoryServiceError:
            await asyncio.sleep(0.1)
        else:
            written.release()
