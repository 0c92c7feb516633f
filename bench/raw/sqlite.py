"""sqlite3, on the event loop: no thread, no other process, no compare-and-set."""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Sequence
from pathlib import Path

from bench.raw import REQUEST, STATE, RawAppend

_ROWS = "(user TEXT, id TEXT, body TEXT, PRIMARY KEY (user, id)) WITHOUT ROWID"


class RawSQLite:
    def __init__(self, folder: Path) -> None:
        self._path = folder / f"raw-{secrets.token_hex(4)}.db"

    async def open(self) -> None:
        self._connection = sqlite3.connect(self._path, isolation_level=None)
        for statement in (
            "PRAGMA journal_mode = WAL",
            "PRAGMA synchronous = FULL",
            "CREATE TABLE heads (user TEXT PRIMARY KEY, seq INTEGER, nonce TEXT) WITHOUT ROWID",
            "CREATE TABLE journal (user TEXT, seq INTEGER, body BLOB, PRIMARY KEY (user, seq)) WITHOUT ROWID",
            *(f"CREATE TABLE {table} {_ROWS}" for table in ("states", "memories", "requests")),
        ):
            self._connection.execute(statement)

    async def close(self) -> None:
        self._connection.close()

    async def append(self, group: Sequence[RawAppend]) -> None:
        execute = self._connection.execute
        execute("BEGIN IMMEDIATE")
        for item in group:
            execute("INSERT OR REPLACE INTO heads VALUES (?, ?, ?)", (item.user, item.seq, item.nonce))
            execute("INSERT INTO journal VALUES (?, ?, ?)", (item.user, item.seq, item.memory))
            execute("INSERT OR REPLACE INTO states VALUES (?, '', ?)", (item.user, STATE.decode()))
            execute("INSERT INTO memories VALUES (?, ?, ?)", (item.user, item.memory_id, item.memory.decode()))
            execute("INSERT INTO requests VALUES (?, ?, ?)", (item.user, item.request_id, REQUEST.decode()))
        execute("COMMIT")

    async def load(self, user: str) -> int:
        execute = self._connection.execute
        execute("BEGIN")
        execute("SELECT seq, nonce FROM heads WHERE user = ?", (user,)).fetchall()
        execute("SELECT id, CAST(body AS BLOB) FROM states WHERE user = ?", (user,)).fetchall()
        found = execute("SELECT id, CAST(body AS BLOB) FROM memories WHERE user = ?", (user,)).fetchall()
        execute("COMMIT")
        return len(found)

    async def tips(self, users: Sequence[str]) -> None:
        for user in users:
            self._connection.execute("SELECT seq, nonce FROM heads WHERE user = ?", (user,)).fetchall()
