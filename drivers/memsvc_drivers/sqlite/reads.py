"""What the SQLite driver reads, and on which thread.

A point read takes microseconds, a hop to a thread and back a hundred: so a read is tried on the event loop first, with
a budget of SQLite's own steps, and goes to a thread when it turns out to be longer, or when it would have to wait.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from memsvc.model import Scope
from memsvc.storage.driver import EMPTY, Due, Loaded, PageOf, Record, RecordKind, Row, RowKind, Tip, TruncatedJournal
from memsvc_drivers.sql.statements import Page
from memsvc_drivers.sqlite.commits import UNKNOWN, Commits
from memsvc_drivers.sqlite.errors import is_busy, is_interrupted, spoils_connection, unavailable
from memsvc_drivers.sqlite.schema import connect, file_identity, refuse_replaced
from memsvc_drivers.sqlite.settings import Settings
from memsvc_drivers.sqlite.statements import ROWS_AT_ONCE, Statements
from memsvc_drivers.unicode import not_unicode

_T = TypeVar("_T")

_Read = Callable[[sqlite3.Connection], _T]

_STEPS_A_TICK = 1_000
_TICKS = 3
"""A read on the loop ends after 2,000 to 3,000 steps of SQLite's machine, about 100 us."""

_THREADS = 2
_KNOWN_TIPS = 4_096
"""So many are remembered while nobody commits: those of the users who are read."""


class Readers:
    """Connections to read with: one on the loop, and one for each of two threads, opened when needed."""

    def __init__(self, settings: Settings, statements: Statements) -> None:
        self._settings = settings
        self._identity = file_identity(settings)
        self._tip = statements.tip
        self._two_tips = " UNION ALL ".join(f"SELECT {index}, * FROM ({statements.tip})" for index in (0, 1))  # noqa: S608
        self._near = self._connect_near()
        self._near_cursor = self._near.cursor()
        self._ticks = 0
        self._known: dict[Scope, Tip] = {}
        self._known_since = UNKNOWN
        """Where the commits were when these tips were asked for."""
        self._idle: list[sqlite3.Connection] = []
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="memsvc-sqlite-reader")
        self.commits = Commits()
        # Once it has read, and for as long as it is open, the shared memory stays the same.
        if self.data_version() >= 0:
            self.commits.look_at(settings.path)

    def tips(self, scopes: Sequence[Scope]) -> Sequence[Tip] | None:
        """Return the tips, known or read on the loop; None if that would have to wait."""
        mark = self.commits.mark()
        if mark == UNKNOWN:
            return self._read_tips(scopes)
        known = self._known
        if mark != self._known_since or len(known) > _KNOWN_TIPS:
            known.clear()
            self._known_since = mark
        try:
            return [known[scope] for scope in scopes]
        except KeyError:
            tips = self._read_tips(scopes)
            if tips is not None:
                known.update(zip(scopes, tips, strict=True))
            return tips

    def committed(self, tips: Mapping[Scope, Tip], before: bytes, after: bytes) -> None:
        """Note a commit of this process, the only one between two marks, and where it has moved whom.

        What was known of all others before it stays known.
        """
        if after != UNKNOWN and before == self._known_since:
            self._known.update(tips)
            self._known_since = after

    def _read_tips(self, scopes: Sequence[Scope]) -> Sequence[Tip] | None:
        self._ticks = 0
        execute, sql = self._near_cursor.execute, self._tip
        tips = []
        try:
            if len(scopes) == 2:
                return self._two(*scopes)
            for scope in scopes:
                # A cursor that is not read to its end would hold the log and hide what others commit.
                found = execute(sql, (scope.namespace, scope.user_id)).fetchall()
                tips.append(Tip(*found[0]) if found else EMPTY)
        except UnicodeEncodeError as error:
            raise not_unicode() from error
        except sqlite3.Error as error:
            self._failed_near(error)
            return None
        return tips

    def _two(self, one: Scope, other: Scope) -> list[Tip]:
        """Return a user's tip and its namespace's, say: to begin and to end a read costs as much as the read."""
        asked = (one.namespace, one.user_id, other.namespace, other.user_id)
        tips = [EMPTY, EMPTY]
        for place, seq, nonce in self._near_cursor.execute(self._two_tips, asked).fetchall():
            tips[place] = Tip(seq, nonce)
        return tips

    async def read(self, read: _Read[_T]) -> _T:
        """Return what `read` returns, from the loop if it is short, else from a thread. Raises StorageUnavailable."""
        self._ticks = 0
        try:
            return read(self._near)
        except UnicodeEncodeError as error:
            raise not_unicode() from error
        except sqlite3.Error as error:
            self._failed_near(error)
        return await self.read_in_thread(read)

    async def read_in_thread(self, read: _Read[_T]) -> _T:
        """Return what `read` returns. Raises StorageUnavailable."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._read_far, read)

    def data_version(self) -> int:
        """Return a number that changes when another connection has committed; -1 if that cannot be told now."""
        try:
            ((version,),) = self._near.execute("PRAGMA data_version").fetchall()
        except sqlite3.Error as error:
            self._failed_near(error)
            return -1
        return int(version)

    def forget_commits(self) -> None:
        """Look at them no more; once all connections of the store are closed."""
        self.commits.close()

    def close(self) -> None:
        """Finish the reads under way. Blocks."""
        self._threads.shutdown()
        for connection in [self._near, *self._idle]:
            connection.close()

    def _read_far(self, read: _Read[_T]) -> _T:
        connection: sqlite3.Connection | None = None
        try:
            connection = self._take_idle() or self._connect_far()
            return read(connection)
        except sqlite3.Error as error:
            if connection is not None and spoils_connection(error):
                connection.close()
                connection = None
            raise unavailable(error) from error
        finally:
            if connection is not None:
                self._idle.append(connection)

    def _take_idle(self) -> sqlite3.Connection | None:
        try:
            return self._idle.pop()
        except IndexError:
            return None

    def _connect_far(self) -> sqlite3.Connection:
        refuse_replaced(self._settings, self._identity)
        return connect(self._settings)

    def _connect_near(self) -> sqlite3.Connection:
        connection = connect(self._settings, busy_timeout_ms=0)
        connection.set_progress_handler(self._tick, _STEPS_A_TICK)
        return connection

    def _tick(self) -> bool:
        self._ticks += 1
        # Once only: what cleans up after the interrupted statement must get through.
        return self._ticks == _TICKS

    def _failed_near(self, error: sqlite3.Error) -> None:
        """Make the loop's connection fit to be used again. Raises StorageUnavailable if a thread would fail as well."""
        if spoils_connection(error):
            self.commits.look_no_more()
            self._near.close()
            try:
                self._near = self._connect_near()
            except sqlite3.Error as again:
                raise unavailable(again) from error
            self._near_cursor = self._near.cursor()
        elif self._near.in_transaction:
            self._near.execute("ROLLBACK")
        if not is_busy(error) and not is_interrupted(error):
            raise unavailable(error) from error


def load(connection: sqlite3.Connection, statements: Statements, scope: Scope, kinds: Collection[RowKind]) -> Loaded:
    """Read tip and rows in one transaction."""
    user = (scope.namespace, scope.user_id)
    connection.execute("BEGIN")
    try:
        found = connection.execute(statements.tip, user).fetchall()
        rows: list[Row] = []
        for kind in dict.fromkeys(kinds) if found else ():
            rows += _placed(kind, connection.execute(statements.rows_of_kind, (*user, kind.value)).fetchall())
    finally:
        if connection.in_transaction:
            connection.execute("COMMIT")
    return Loaded(Tip(*found[0]) if found else EMPTY, rows)


def tips(connection: sqlite3.Connection, statements: Statements, scopes: Sequence[Scope]) -> list[Tip]:
    """Read where journals end."""
    found = (connection.execute(statements.tip, (scope.namespace, scope.user_id)).fetchall() for scope in scopes)
    return [Tip(*tip[0]) if tip else EMPTY for tip in found]


def records(
    connection: sqlite3.Connection, statements: Statements, scope: Scope, after: int, limit: int
) -> list[Record]:
    """Read a journal's tail. Raises TruncatedJournal."""
    user = (scope.namespace, scope.user_id)
    found = connection.execute(statements.records, (*user, after, limit)).fetchall()
    if not found or found[0][0] != after + 1:
        # Asked after the records, so that a truncation in between is seen.
        for floor, _ in connection.execute(statements.extent, user).fetchall():
            if after + 1 < floor:
                raise TruncatedJournal(floor)
    return [Record(seq, nonce, RecordKind(kind), time, body) for seq, nonce, kind, time, body in found]


def page(connection: sqlite3.Connection, statements: Statements, wanted: PageOf) -> list[Row]:
    """Read rows by position."""
    user = (wanted.scope.namespace, wanted.scope.user_id)
    given = [value for value in (wanted.group, wanted.after, wanted.before) if value is not None]
    shape = Page(wanted.group is not None, wanted.after is not None, wanted.before is not None, wanted.descending)
    sql = statements.page(wanted.kind, shape)
    return _rows(wanted.kind, connection.execute(sql, (*user, *user, *given, wanted.limit)).fetchall())


def get(
    connection: sqlite3.Connection, statements: Statements, scope: Scope, kind: RowKind, row_ids: Sequence[str]
) -> dict[str, Row]:
    """Read rows by id."""
    given = (scope.namespace, scope.user_id, kind.value)
    if len(row_ids) == 1:
        found = connection.execute(statements.row, (*given, *row_ids)).fetchall()
    else:
        found = [row for ids in _at_once(row_ids) for row in connection.execute(statements.some_rows, (*given, *ids))]
    return {row.row_id: row for row in _rows(kind, found)}


def _at_once(row_ids: Sequence[str]) -> Iterator[Sequence[str]]:
    """Yield the ids in parts of as many as the statement takes; the last is repeated where there are fewer."""
    for first in range(0, len(row_ids), ROWS_AT_ONCE):
        part = row_ids[first : first + ROWS_AT_ONCE]
        yield [*part, *[part[-1]] * (ROWS_AT_ONCE - len(part))]


def due(connection: sqlite3.Connection, statements: Statements, before: int, limit: int) -> list[Due]:
    """Read who may have work."""
    found = connection.execute(statements.due, (before, limit)).fetchall()
    return [Due(Scope(namespace, user_id), time) for namespace, user_id, time in found]


def users(connection: sqlite3.Connection, statements: Statements, namespace: str, after: str, limit: int) -> list[str]:
    """Read who of a namespace has a journal."""
    return [user_id for (user_id,) in connection.execute(statements.users, (namespace, after, limit)).fetchall()]


def scopes(connection: sqlite3.Connection, statements: Statements, after: Scope | None, limit: int) -> list[Scope]:
    """Read who has a journal, in any namespace."""
    if after is None:
        found = connection.execute(statements.first_scopes, (limit,))
    else:
        found = connection.execute(statements.scopes, (after.namespace, after.user_id, limit))
    return [Scope(*names) for names in found.fetchall()]


def _rows(kind: RowKind, found: Sequence[tuple[str, bytes, str, int]]) -> list[Row]:
    return [Row(kind, row_id, body, group, position) for row_id, body, group, position in found]


def _placed(kind: RowKind, found: Sequence[tuple[str, bytes, str | None]]) -> list[Row]:
    return [
        Row(kind, row_id, body) if place is None else _at(kind, row_id, body, place) for row_id, body, place in found
    ]


def _at(kind: RowKind, row_id: str, body: bytes, place: str) -> Row:
    position, _, group = place.partition(" ")
    return Row(kind, row_id, body, group, int(position))
