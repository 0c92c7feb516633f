"""Journals for the tests of the SQLite driver, and a look into its files."""

from __future__ import annotations

import secrets
import struct
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from memsvc.model import Scope
from memsvc.storage.driver import Append, Outcome, Record, RecordKind, Row, RowKey, Tip
from memsvc_drivers.sqlite.driver import SQLiteDriver

SARAH = Scope("default", "sarah")


@asynccontextmanager
async def opened(path: Path, options: Mapping[str, str] | None = None) -> AsyncIterator[SQLiteDriver]:
    """Open a driver on a file, and close it."""
    driver = SQLiteDriver(f"sqlite:///{path}", options or {})
    await driver.open()
    try:
        yield driver
    finally:
        await driver.close()


def append_after(
    tip: Tip,
    scope: Scope = SARAH,
    *,
    body: bytes = b"{}",
    puts: Sequence[Row] = (),
    deletes: Sequence[RowKey] = (),
    due: int = 0,
    erases: bool = False,
) -> Append:
    """Return an append of one record."""
    kind = RecordKind.ERASE if erases else RecordKind.COMMIT
    record = Record(tip.seq + 1, secrets.token_hex(8), kind, 1_763_715_600_000_000, body)
    return Append(scope=scope, after=tip, records=[record], puts=puts, deletes=deletes, due=due, erases=erases)


def tip_after(appended: Append) -> Tip:
    """Return where the journal ends once it is applied."""
    return Tip(appended.records[-1].seq, appended.records[-1].nonce)


async def applied(driver: SQLiteDriver, appended: Append) -> Tip:
    """Apply one append and return the new tip."""
    assert await driver.append([appended]) == [Outcome.APPENDED]
    return tip_after(appended)


async def grown(driver: SQLiteDriver, scope: Scope = SARAH, *, records: int = 1) -> Tip:
    """Give a user that many records."""
    [tip] = await driver.tips([scope])
    for _ in range(records):
        tip = await applied(driver, append_after(tip, scope))
    return tip


def commits_in_log(path: Path) -> int:
    """Count the transactions in the write-ahead log: the frames that carry the file's size."""
    log = Path(f"{path}-wal").read_bytes()
    if not log:
        return 0
    (page_bytes,) = struct.unpack_from(">I", log, 8)
    salts = log[16:24]
    frames = range(32, len(log), 24 + page_bytes)
    return sum(log[at + 4 : at + 8] != b"\0\0\0\0" and log[at + 8 : at + 16] == salts for at in frames)


def files_holding(folder: Path, text: bytes) -> list[str]:
    """Return the names of the files that have a text in them."""
    return [path.name for path in sorted(folder.iterdir()) if text in path.read_bytes()]
