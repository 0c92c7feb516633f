"""Blanks what SQLite leaves behind inside its pages.

`secure_delete` overwrites what is deleted, but a page that SQLite splits or merges keeps stale copies of the rows that
moved to another page, in the unused space between its cell pointers and its cells, where no later delete finds them.
VACUUM would rewrite the whole file; here only that space is overwritten, which no reader ever looks at.

The page layout is that of https://sqlite.org/fileformat2.html, sections 1.3 and 1.6.
"""

from __future__ import annotations

import os
import sqlite3
import struct
from collections.abc import Iterator
from contextlib import closing

from memsvc_drivers.sqlite.schema import REMNANTS_ROW, connect
from memsvc_drivers.sqlite.settings import Settings
from memsvc_drivers.sqlite.statements import Statements

_CHUNK_BYTES = 1 << 20
_DATABASE_HEADER_BYTES = 100
_PAGE_HEADER_BYTES = {0x02: 12, 0x05: 12, 0x0A: 8, 0x0D: 8}
"""By the first byte of a b-tree page: interior or leaf, of an index or a table."""
_MOST_PAGES = 1 << 24
"""From here on the first byte of an overflow page, which begins with a page number, may look like one of these."""

_descriptors: dict[tuple[int, int], int] = {}
"""Open files by device and inode. They stay open: closing one would free every POSIX lock that this process, and so
SQLite, holds on the file."""


def scrub(settings: Settings, statements: Statements) -> bool:
    """Blank the unused space of every page. Return False if somebody else has written meanwhile.

    Call it in one's turn, right after the log was emptied: then the file is all there is, and the write lock keeps it
    so. A file whose pages cannot be told apart (with auto_vacuum, or past 64 GiB) is left as it is.
    """
    with closing(connect(settings)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        if os.stat(f"{settings.path}-wal").st_size:
            return False
        if _is_plain(connection):
            _blank(_descriptor(settings))
        # Every other connection, the writer's too, drops its cached pages, with their stale copies, once another has
        # committed: so none of them is ever written back.
        connection.execute(statements.write_meta, (REMNANTS_ROW, 0))
        connection.execute("COMMIT")
    return True


def _blank(file: int) -> None:
    for offset, length in list(_stale_ranges(file)):
        os.pwrite(file, bytes(length), offset)
    os.fsync(file)


def _is_plain(connection: sqlite3.Connection) -> bool:
    """Whether each page's first byte says what it is: no pointer maps, and not too many pages."""
    ((auto_vacuum,),) = connection.execute("PRAGMA auto_vacuum").fetchall()
    ((pages,),) = connection.execute("PRAGMA page_count").fetchall()
    return bool(auto_vacuum == 0 and pages < _MOST_PAGES)


def _descriptor(settings: Settings) -> int:
    found = os.stat(settings.path)
    identity = (found.st_dev, found.st_ino)
    if identity not in _descriptors:
        _descriptors[identity] = os.open(settings.path, os.O_RDWR | os.O_CLOEXEC)
    return _descriptors[identity]


def _stale_ranges(file: int) -> Iterator[tuple[int, int]]:
    """Yield offset and length of unused space that is not blank."""
    header = os.pread(file, _DATABASE_HEADER_BYTES, 0)
    (page_bytes,) = struct.unpack_from(">H", header, 16)
    page_bytes = 65536 if page_bytes == 1 else page_bytes
    step = max(_CHUNK_BYTES // page_bytes, 1) * page_bytes
    blank = bytes(page_bytes)
    offset = 0
    while chunk := os.pread(file, step, offset):
        for page in range(0, len(chunk), page_bytes):
            start = page if offset + page else _DATABASE_HEADER_BYTES
            header_bytes = _PAGE_HEADER_BYTES.get(chunk[start])
            if header_bytes is None:
                continue
            cells, content = struct.unpack_from(">HH", chunk, start + 3)
            first = start + header_bytes + 2 * cells
            end = page + (content or 65536)
            # Never past the page: a free one may hold anything, and begin like one of these.
            if first < end <= page + page_bytes and chunk[first:end] != blank[: end - first]:
                yield offset + first, end - first
        offset += len(chunk)
