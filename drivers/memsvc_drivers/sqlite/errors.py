"""Turns errors of SQLite into the contract's, by their code and never by their text."""

from __future__ import annotations

import sqlite3

from memsvc.errors import Reason, StorageUnavailable

_WRITE_REFUSED = {sqlite3.SQLITE_FULL: "it is full", sqlite3.SQLITE_READONLY: "it is read-only"}
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_ONE_ITEM = {sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_TOOBIG, sqlite3.SQLITE_MISMATCH, sqlite3.SQLITE_RANGE}
_SPOILS_CONNECTION = {
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_NOTADB,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_PROTOCOL,
}


def primary_code(error: sqlite3.Error) -> int:
    """Return the primary result code; SQLITE_MISUSE where Python itself found the fault."""
    code: int = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_MISUSE)
    return code & 0xFF


def is_busy(error: sqlite3.Error) -> bool:
    """Whether another connection was in the way."""
    return primary_code(error) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def is_interrupted(error: sqlite3.Error) -> bool:
    """Whether the progress handler stopped the statement."""
    return primary_code(error) == sqlite3.SQLITE_INTERRUPT


def concerns_one_item(error: sqlite3.Error) -> bool:
    """Whether the statement was at fault rather than the database, so that its neighbours can go on."""
    return primary_code(error) in _ONE_ITEM


def spoils_connection(error: sqlite3.Error) -> bool:
    """Whether the connection must not be used any more."""
    return primary_code(error) in _SPOILS_CONNECTION


def unavailable(error: sqlite3.Error) -> StorageUnavailable:
    """Return what the caller is told."""
    code = primary_code(error)
    name = getattr(error, "sqlite_errorname", "SQLITE_MISUSE")
    if code in _WRITE_REFUSED:
        return StorageUnavailable(f"database cannot write: {_WRITE_REFUSED[code]} ({name})", Reason.STORAGE_FULL)
    if code in _DAMAGED:
        return StorageUnavailable(f"the file is not a database, or damaged ({name})")
    if code == sqlite3.SQLITE_CANTOPEN:
        return StorageUnavailable(
            f"the file cannot be opened: it is a folder, or in one that cannot be written ({name})"
        )
    if is_busy(error):
        return StorageUnavailable(f"another process holds the database ({name})")
    return StorageUnavailable(f"database failed ({name})")
