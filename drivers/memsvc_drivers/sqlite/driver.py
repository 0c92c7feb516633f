"""Keeps journals in one SQLite file: WAL, one writer thread, reads on the event loop where they are short.

The file may be shared by processes on one host, not over a network file system. While a process has it open, neither it
nor the files beside it (`-wal`, `-shm`, `-line`, `-room`, `-open`) may be moved, replaced or deleted: once the file at
the path is another one, the driver answers StorageUnavailable until it is opened anew. Nor may that process open the
file by other means than SQLite: closing it would drop SQLite's locks. An open driver does not survive a fork.
"""

from __future__ import annotations

import asyncio
import errno
import sqlite3
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import msgspec

from memsvc.errors import Reason, StorageUnavailable
from memsvc.model import Scope
from memsvc.storage.driver import (
    Append,
    Capabilities,
    Capability,
    Due,
    Loaded,
    Migration,
    Outcome,
    PageOf,
    Record,
    Redaction,
    Row,
    RowKind,
    Tip,
)
from memsvc_drivers.options import described_options
from memsvc_drivers.sql.names import described_names
from memsvc_drivers.sqlite import reads, schema, writes
from memsvc_drivers.sqlite.commits import UNKNOWN
from memsvc_drivers.sqlite.errors import unavailable
from memsvc_drivers.sqlite.locks import LockTimeoutError, Presence, Turnstile
from memsvc_drivers.sqlite.settings import Settings, parse_settings
from memsvc_drivers.sqlite.statements import Statements, statements_for
from memsvc_drivers.sqlite.writer import Job, Wipe, Writer
from memsvc_drivers.unicode import require_unicode

_T = TypeVar("_T")


class SQLiteDriver:
    """The driver for `sqlite:///relative.db` and `sqlite:////absolute/path.db`.

    Options are the fields of `Settings` (all but `path` and `names`), `table_prefix`, and `table_<name>` for each field
    of `TableNames`. Opening makes folders, file and tables.
    """

    def __init__(self, url: str, options: Mapping[str, str]) -> None:
        self._settings = parse_settings(url, options)
        self._statements = statements_for(self._settings.names)
        self._store: _Store | None = None
        self._closing: asyncio.Future[None] | None = None
        self._generation = 0
        self._capabilities = _capabilities(self._settings, self._mark, synced=False)

    @classmethod
    def options(cls) -> Mapping[str, str]:
        """Return what each option is, and its default."""
        return {**described_options(Settings, but=("path", "names")), **described_names()}

    @property
    def generation(self) -> int:
        return self._generation

    async def open(self) -> None:
        if self._store is not None:
            return
        opening = asyncio.ensure_future(asyncio.to_thread(_open_files, self._settings, self._statements))
        try:
            files = await asyncio.shield(opening)
        except asyncio.CancelledError:
            opening.add_done_callback(_close_unwanted)
            raise
        self._generation = files.generation
        self._capabilities = _capabilities(self._settings, self._mark, synced=files.synced)
        if warning := schema.open_to_others(self._settings):
            self._capabilities = msgspec.structs.replace(self._capabilities, warnings=(warning,))
        writer = Writer(self._settings, self._statements, files.turnstile, files.connection, files.readers)
        self._store = _Store(files, writer)

    async def close(self) -> None:
        store, self._store = self._store, None
        if store is not None:
            self._closing = asyncio.ensure_future(asyncio.to_thread(store.close))
        if self._closing is not None:
            await asyncio.shield(self._closing)

    async def ping(self) -> None:
        # Through the writer: it answers only if it is alive and gets the write lock.
        await self._write(lambda cursor, isolated: None)

    async def migrate(self, *, check: bool = False) -> Migration:
        task = _check if check else _migrate
        return await asyncio.to_thread(task, self._settings, self._statements)

    def capabilities(self) -> Capabilities:
        # Also of a file that was replaced: whoever writes is told so by the append.
        if self._store is None:
            raise StorageUnavailable("driver is not open")
        return self._capabilities

    async def append(self, batch: Sequence[Append]) -> Sequence[Outcome]:
        for item in batch:
            require_unicode(_names(item.scope, item.puts))
        outcomes: Sequence[Outcome] = await self._write(
            lambda cursor, isolated: writes.append_batch(cursor, self._statements, batch, isolated=isolated),
            size_bytes=writes.written_bytes(batch),
            wipe=Wipe.SOON if any(item.erases for item in batch) else Wipe.NO,
            batch=batch,
        )
        return outcomes

    async def tips(self, scopes: Sequence[Scope]) -> Sequence[Tip]:
        readers = self._opened().files.readers
        tips = readers.tips(scopes)
        if tips is None:
            tips = await readers.read_in_thread(partial(reads.tips, statements=self._statements, scopes=scopes))
        return tips

    async def load(self, scope: Scope, kinds: Collection[RowKind]) -> Loaded:
        return await self._read(lambda connection: reads.load(connection, self._statements, scope, kinds))

    async def records(self, scope: Scope, after: int, limit: int) -> Sequence[Record]:
        return await self._read(lambda connection: reads.records(connection, self._statements, scope, after, limit))

    async def rows(self, page: PageOf) -> Sequence[Row]:
        return await self._read(lambda connection: reads.page(connection, self._statements, page))

    async def get(self, scope: Scope, kind: RowKind, row_ids: Sequence[str]) -> Mapping[str, Row]:
        return await self._read(lambda connection: reads.get(connection, self._statements, scope, kind, row_ids))

    async def due(self, before: int, limit: int) -> Sequence[Due]:
        return await self._read(lambda connection: reads.due(connection, self._statements, before, limit))

    async def users(self, namespace: str, after: str, limit: int) -> Sequence[str]:
        return await self._read(lambda connection: reads.users(connection, self._statements, namespace, after, limit))

    async def scopes(self, after: Scope | None, limit: int) -> Sequence[Scope]:
        return await self._read(lambda connection: reads.scopes(connection, self._statements, after, limit))

    async def seed(self, scope: Scope, rows: Sequence[Row], *, afresh: bool) -> None:
        require_unicode(_names(scope, rows))
        await self._write(
            lambda cursor, isolated: writes.seed(cursor, self._statements, scope, rows, afresh=afresh),
            size_bytes=writes.seeded_bytes(rows),
        )

    async def truncate(self, scope: Scope, floor: int) -> None:
        await self._write(lambda cursor, isolated: writes.truncate(cursor, self._statements, scope, floor))

    async def redact(self, scope: Scope, redactions: Sequence[Redaction]) -> Collection[int]:
        replaced: Collection[int] = await self._write(
            lambda cursor, isolated: writes.redact(cursor, self._statements, scope, redactions),
            size_bytes=sum(len(each.new) for each in redactions),
            wipe=Wipe.BEFORE_DONE,
        )
        return replaced

    async def hints(self) -> AsyncIterator[Scope | None]:
        seen = self._opened().files.readers.data_version()
        while self._store is not None:
            found = self._store.files.readers.data_version()
            if found != seen:
                seen = found
                yield None
            await asyncio.sleep(self._settings.hint_poll_ms / 1000)

    def _mark(self) -> bytes:
        store = self._store
        return UNKNOWN if store is None or store.writer.replaced else store.files.readers.commits.mark()

    def _opened(self) -> _Store:
        store = self._store
        if store is None:
            raise StorageUnavailable("driver is not open")
        if store.writer.replaced:
            raise schema.FileReplacedError
        return store

    async def _read(self, read: Callable[[sqlite3.Connection], _T]) -> _T:
        return await self._opened().files.readers.read(read)

    async def _write(
        self,
        run: Callable[[sqlite3.Cursor, bool], Any],
        *,
        size_bytes: int = 0,
        wipe: Wipe = Wipe.NO,
        batch: Sequence[Append] = (),
    ) -> Any:
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._opened().writer.submit(Job(run, future, size_bytes, wipe, batch))
        return await future


def _capabilities(settings: Settings, mark: Callable[[], bytes], *, synced: bool) -> Capabilities:
    return Capabilities(
        durable=Capability(synced, "" if synced else f"synchronous is {settings.synchronous}"),
        failover=Capability(False, "one file on one node"),
        shared=Capability(True, "processes on one host; not over a network file system"),
        hints=Capability(True, f"looks every {settings.hint_poll_ms} ms; does not say who moved"),
        concurrent_batches=1,
        tips_cost_nothing=True,
        commits_mark=mark,
    )


@dataclass(frozen=True, slots=True)
class _Files:
    """What is held while a store is open."""

    presence: Presence
    turnstile: Turnstile
    connection: sqlite3.Connection
    readers: reads.Readers
    generation: int
    synced: bool
    """Whether each commit waits for the disk, as SQLite itself says."""

    def release(self) -> None:
        self.readers.close()
        self.connection.close()
        self.readers.forget_commits()
        self.presence.close()
        self.turnstile.close()


@dataclass(frozen=True, slots=True)
class _Store:
    files: _Files
    writer: Writer

    def close(self) -> None:
        self.writer.close()
        self.files.release()


def _open_files(settings: Settings, statements: Statements) -> _Files:
    with _translated(), ExitStack() as undo:
        schema.make_folder(settings)
        timeout_seconds, mode = settings.busy_timeout_ms / 1000, settings.access.mode
        presence = Presence(settings.path, timeout_seconds, mode)
        undo.callback(presence.close)
        turnstile = Turnstile(settings.path, timeout_seconds, mode)
        undo.callback(turnstile.close)
        alone = presence.enter()
        with turnstile.turn():
            schema.make_file(settings)
            connection = schema.connect_writer(settings, create=True)
            undo.callback(connection.close)
            schema.migrate(connection, statements)
            if alone:
                connection.execute(statements.count_up, (schema.GENERATION_ROW,))
        presence.settle()
        generation = schema.read_meta(connection, statements, schema.GENERATION_ROW)
        synced = schema.is_synced(connection)
        files = _Files(presence, turnstile, connection, reads.Readers(settings, statements), generation, synced)
        undo.pop_all()
        return files


def _close_unwanted(opening: asyncio.Future[_Files]) -> None:
    if not opening.cancelled() and opening.exception() is None:
        opening.result().release()


def _check(settings: Settings, statements: Statements) -> Migration:
    with _translated():
        return schema.check(settings, statements)


def _migrate(settings: Settings, statements: Statements) -> Migration:
    with _translated(), ExitStack() as held:
        schema.make_folder(settings)
        turnstile = Turnstile(settings.path, settings.busy_timeout_ms / 1000, settings.access.mode)
        held.callback(turnstile.close)
        with turnstile.turn():
            schema.make_file(settings)
            connection = schema.connect_writer(settings, create=True)
            held.callback(connection.close)
            return schema.migrate(connection, statements)


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise unavailable(error) from error
    except LockTimeoutError as error:
        raise StorageUnavailable("another process holds the database") from error
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise StorageUnavailable(f"a link is in the place of a lock file: {error.filename}") from error
        refused = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM)
        reason = Reason.STORAGE_FULL if refused else Reason.STORAGE_UNAVAILABLE
        raise StorageUnavailable(f"the database's folder cannot be used: {error.strerror}", reason) from error


def _names(scope: Scope, rows: Sequence[Row]) -> list[str]:
    names = [scope.namespace, scope.user_id]
    for row in rows:
        names += (row.row_id, row.group)
    return names
