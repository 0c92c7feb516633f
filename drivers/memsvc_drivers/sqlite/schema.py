"""Connections to a store's file, and its schema: created, checked and migrated."""

from __future__ import annotations

import errno
import os
import sqlite3
import stat
from collections.abc import Callable, Sequence
from typing import NamedTuple

from memsvc.errors import SchemaMismatch, StorageUnavailable
from memsvc.storage.crashpoints import reach
from memsvc.storage.driver import Migration
from memsvc_drivers.sqlite.errors import unavailable
from memsvc_drivers.sqlite.locks import open_private
from memsvc_drivers.sqlite.settings import Settings
from memsvc_drivers.sqlite.statements import Statements

VERSION_ROW = "schema_version"
GENERATION_ROW = "generation"
REMNANTS_ROW = "remnants"
"""1 from an erasure until nothing of it is left in the files."""

_PAGE_BYTES = 4096
_SYNCHRONOUS_FULL = 2


class Step(NamedTuple):
    """What brings the schema to `version` from the one before."""

    version: int
    description: str
    apply: Callable[[sqlite3.Connection, Statements], None]


class FileReplacedError(StorageUnavailable):
    """The file at the path is not the one that was opened. To go on would part from those who open it anew."""

    def __init__(self) -> None:
        super().__init__("the database file was moved, deleted or replaced while open: restart")


def connect(settings: Settings, *, busy_timeout_ms: int | None = None, create: bool = False) -> sqlite3.Connection:
    """Return a connection that may be handed from thread to thread, with autocommit."""
    timeout_ms = settings.busy_timeout_ms if busy_timeout_ms is None else busy_timeout_ms
    connection = sqlite3.connect(
        f"{settings.path.as_uri()}?mode={'rwc' if create else 'rw'}",
        uri=True,
        timeout=timeout_ms / 1000,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=256,
    )
    try:
        for pragma in (
            f"page_size = {_PAGE_BYTES}",
            f"synchronous = {settings.synchronous}",
            # Elsewhere than on macOS these change nothing; there fsync alone does not reach the disk.
            "fullfsync = ON",
            "checkpoint_fullfsync = ON",
            f"cache_size = {-(settings.cache_bytes // 1024)}",
            "temp_store = MEMORY",
            "wal_autocheckpoint = 0",
        ):
            connection.execute(f"PRAGMA {pragma}")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def connect_writer(settings: Settings, *, create: bool = False) -> sqlite3.Connection:
    """Return a connection that overwrites what it deletes and keeps to the size allowed."""
    connection = connect(settings, create=create)
    try:
        connection.execute("PRAGMA secure_delete = ON")
        if settings.max_bytes:
            connection.execute(f"PRAGMA max_page_count = {max(1, settings.max_bytes // _PAGE_BYTES)}")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def is_synced(connection: sqlite3.Connection) -> bool:
    """Whether commits of this connection wait for the disk."""
    ((level,),) = connection.execute("PRAGMA synchronous").fetchall()
    return bool(level >= _SYNCHRONOUS_FULL)


def migrate(connection: sqlite3.Connection, statements: Statements) -> Migration:
    """Bring the schema to the version wanted; whoever comes second finds nothing to do. Raises SchemaMismatch."""
    plan(connection, statements)
    if connection.execute("PRAGMA journal_mode = WAL").fetchone() != ("wal",):
        raise StorageUnavailable("the file's location has no shared memory, which SQLite's WAL mode needs")
    connection.execute("BEGIN IMMEDIATE")
    try:
        migration = plan(connection, statements)
        for step in STEPS[migration.found :]:
            step.apply(connection, statements)
            connection.execute(statements.write_meta, (VERSION_ROW, step.version))
        reach("sqlite.before_migrate")
        connection.execute("COMMIT")
        reach("sqlite.after_migrate")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return migration


def check(settings: Settings, statements: Statements) -> Migration:
    """Return what `migrate` would do, without touching anything. Raises SchemaMismatch; OSError where it could not."""
    _refuse_folder(settings)
    if not settings.path.exists():
        _require_place(settings)
        return _pending(0)
    uri = f"{settings.path.as_uri()}?mode=ro"
    try:
        connection = sqlite3.connect(uri, uri=True, timeout=settings.busy_timeout_ms / 1000, isolation_level=None)
        try:
            return plan(connection, statements)
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise unavailable(error) from error


def plan(connection: sqlite3.Connection, statements: Statements) -> Migration:
    """Return what is to be done to this file. Raises SchemaMismatch where it is not ours to do."""
    if connection.execute("PRAGMA encoding").fetchone() != ("UTF-8",):
        raise SchemaMismatch("the database file is not encoded in UTF-8")
    names = statements.names
    present = {name.lower() for (name,) in connection.execute("SELECT name FROM sqlite_master").fetchall()}
    if names.meta.lower() not in present:
        foreign = sorted(name for name in names if name.lower() in present)
        if foreign:
            raise SchemaMismatch(f"table {foreign[0]} is there already and was not made by memsvc: choose another name")
        return _pending(0)
    found = read_meta(connection, statements, VERSION_ROW)
    if found > VERSION:
        raise SchemaMismatch(f"schema {found}, this memsvc needs {VERSION}: run a newer memsvc")
    missing = sorted(name for name in names if name.lower() not in present)
    if found == VERSION and missing:
        raise SchemaMismatch(f"table {missing[0]} is missing: was the store made with other table names?")
    return _pending(found)


def read_meta(connection: sqlite3.Connection, statements: Statements, name: str) -> int:
    """Return a number of the meta table; 0 where it is not set."""
    found = connection.execute(statements.read_meta, (name,)).fetchone()
    return found[0] if found else 0


def file_identity(settings: Settings) -> tuple[int, int]:
    """Return what tells the file at the path from every other; (0, 0) if there is none."""
    try:
        found = os.stat(settings.path)
    except OSError:
        return (0, 0)
    return (found.st_dev, found.st_ino)


def refuse_replaced(settings: Settings, identity: tuple[int, int]) -> None:
    """Raise FileReplacedError if the file is another one by now."""
    if file_identity(settings) != identity:
        raise FileReplacedError


def make_folder(settings: Settings) -> None:
    """Make the file's folder. Raises OSError; StorageUnavailable where the file itself is a folder."""
    _refuse_folder(settings)
    settings.path.parent.mkdir(parents=True, exist_ok=True)


def _refuse_folder(settings: Settings) -> None:
    if settings.path.is_dir():
        raise StorageUnavailable(f"it is a folder: name a file in it, {settings.path / 'memory.db'}")


def _require_place(settings: Settings) -> None:
    """Raise OSError where neither the file nor the folders that it lacks can be made."""
    place = next(each for each in settings.path.parents if each.exists())
    if not place.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(place))
    if not os.access(place, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, f"{place} cannot be written", str(place))


def make_file(settings: Settings) -> None:
    """Make the file where there is none: SQLite would let everybody read it. Raises OSError.

    Files that SQLite makes beside it get the same mode. To be called while nobody else may open the file: closing it
    drops this process's locks on it.
    """
    if not settings.path.exists():
        os.close(open_private(str(settings.path), settings.access.mode))


def open_to_others(settings: Settings) -> str:
    """Return a warning where others than the settings say can open the file, or name it; empty where not."""
    found = os.stat(settings.path)
    if stat.S_IMODE(found.st_mode) & ~settings.access.mode & 0o077:
        wanted = f"{settings.access.mode:04o}"
        return f"others on this machine can open {settings.path.name}: chmod {wanted}, and the files beside it"
    if found.st_nlink > 1:
        return "the file has several names (hard links): a server that uses another one has locks of its own"
    return ""


def _pending(found: int) -> Migration:
    return Migration(found=found, wanted=VERSION, steps=tuple(step.description for step in STEPS[found:]))


def _create(connection: sqlite3.Connection, statements: Statements) -> None:
    for statement in statements.create:
        connection.execute(statement)


STEPS: Sequence[Step] = (Step(1, "create the tables", _create),)
"""In order, from version 1. A published step never changes: with step 2, step 1's SQL is written out in full."""

VERSION = STEPS[-1].version
