"""The one thread that writes: it takes what waits, commits it as one group, and only then answers."""

from __future__ import annotations

import asyncio
import contextlib
import enum
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple

from memsvc.errors import StorageUnavailable
from memsvc.log import Log
from memsvc.model import Scope
from memsvc.storage.crashpoints import reach
from memsvc.storage.driver import Append, Outcome, Tip
from memsvc_drivers.sqlite.checkpoints import Checkpointer
from memsvc_drivers.sqlite.commits import UNKNOWN, Commits
from memsvc_drivers.sqlite.errors import concerns_one_item, spoils_connection, unavailable
from memsvc_drivers.sqlite.locks import LockTimeoutError, Turnstile
from memsvc_drivers.sqlite.reads import Readers
from memsvc_drivers.sqlite.schema import (
    REMNANTS_ROW,
    FileReplacedError,
    connect_writer,
    file_identity,
    read_meta,
    refuse_replaced,
)
from memsvc_drivers.sqlite.scrub import scrub
from memsvc_drivers.sqlite.settings import Settings
from memsvc_drivers.sqlite.statements import Statements

log = Log(__name__)

_LARGEST_GROUP_BYTES = 16 << 20
_LOOKS = 64
"""How often the log is looked at, about, while it grows to its cap."""
_WIPE_TRIES = 20
_WIPE_PAUSE_SECONDS = 0.025
_IDLE_SECONDS = 0.1
_LONGEST_WAIT_FOR_IDLE_SECONDS = 1.0


class Wipe(enum.Enum):
    """Whether what a job deleted must also vanish from the files."""

    NO = "no"
    SOON = "soon"
    """From the log before the job is done, if no reader needs it; from unused space when the writer is idle."""
    BEFORE_DONE = "before_done"


@dataclass(frozen=True, slots=True)
class Job:
    """Work for the writer's transaction, and who waits for it."""

    run: Callable[[sqlite3.Cursor, bool], Any]
    """Takes a cursor, and whether its parts must not harm each other."""
    future: asyncio.Future[Any]
    size_bytes: int = 0
    wipe: Wipe = Wipe.NO
    batch: Sequence[Append] = ()
    """What it appends: the result has the outcome of each."""


class Moved(NamedTuple):
    """Where users are after a commit that moved them, and between which marks of `commits` it was the only one."""

    tips: Mapping[Scope, Tip]
    before: bytes
    after: bytes


class Writer:
    """Owns the connection that writes."""

    def __init__(
        self,
        settings: Settings,
        statements: Statements,
        turnstile: Turnstile,
        connection: sqlite3.Connection,
        readers: Readers,
    ) -> None:
        self.replaced = False
        """The file at the path is no longer the one that was opened."""
        self._settings = settings
        self._statements = statements
        self._turnstile = turnstile
        self._readers = readers
        self._connection: sqlite3.Connection | None = connection
        self._identity = file_identity(settings)
        self._loop = asyncio.get_running_loop()
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._stopping = False
        self._checkpointer = Checkpointer(settings)
        self._since_checkpoint_bytes = 0
        self._truncate_at_bytes = settings.wal_cap_bytes
        self._since_look_bytes = 0
        # A process that was killed may have left some.
        self._remnants = read_meta(connection, statements, REMNANTS_ROW) > 0
        self._wipe_by = 0.0
        self._thread = threading.Thread(target=self._run, name="memsvc-sqlite-writer", daemon=True)
        self._thread.start()

    def submit(self, job: Job) -> None:
        """Hand over a job; it is done whether or not anybody still waits for it."""
        self._jobs.put(job)

    def close(self) -> None:
        """Finish what was handed over. Blocks."""
        self._jobs.put(None)
        self._thread.join()
        self._checkpointer.close()
        if self._connection is not None:
            self._connection.close()

    def _run(self) -> None:
        while not self._stopping:
            group = self._next_group()
            try:
                self._serve(group)
            except Exception as error:
                log.error("writer_failed", error)
                self._answer([(job, error) for job in group])

    def _serve(self, group: Sequence[Job]) -> None:
        if group:
            self._commit(group)
            self._keep_log_short()
        if self._remnants and (not group or self._stopping or time.monotonic() > self._wipe_by):
            self._wipe_by = time.monotonic() + _LONGEST_WAIT_FOR_IDLE_SECONDS
            self._empty_log(tries=1, scrubbing=True)

    def _next_group(self) -> list[Job]:
        try:
            job = self._jobs.get(timeout=_IDLE_SECONDS if self._remnants else None)
        except Empty:
            return []
        group = []
        size_bytes = 0
        while job is not None:
            group.append(job)
            size_bytes += job.size_bytes
            if size_bytes > _LARGEST_GROUP_BYTES:
                return group
            try:
                job = self._jobs.get_nowait()
            except Empty:
                return group
        self._stopping = True
        return group

    def _commit(self, group: Sequence[Job]) -> None:
        try:
            with self._turnstile.turn():
                results, moved = self._transaction(group)
        except Exception as error:
            self._recover(error)
            failure = _failure(error)
            self._answer([(job, failure) for job in group])
            return
        answers = list(zip(group, results, strict=True))
        self._answer([answer for answer in answers if answer[0].wipe is Wipe.NO], moved)
        wiping = [answer for answer in answers if answer[0].wipe is not Wipe.NO]
        if wiping:
            self._remnants = True
            self._wipe_by = time.monotonic() + _LONGEST_WAIT_FOR_IDLE_SECONDS
            self._empty_log(tries=_WIPE_TRIES, scrubbing=any(job.wipe is Wipe.BEFORE_DONE for job in group))
            left = StorageUnavailable("replaced, but a reader still needs the log that holds the old text: repeat it")
            self._answer(
                [(job, left if self._remnants and job.wipe is Wipe.BEFORE_DONE else result) for job, result in wiping]
            )
        size_bytes = sum(job.size_bytes for job in group)
        self._since_checkpoint_bytes += size_bytes
        self._since_look_bytes += size_bytes

    def _transaction(self, group: Sequence[Job]) -> tuple[list[Any], Moved]:
        connection, commits = self._connected(), self._readers.commits
        try:
            return _run_jobs(connection, group, commits, isolated=False)
        except sqlite3.Error as error:
            if not concerns_one_item(error):
                raise
            _roll_back(connection)
            return _run_jobs(connection, group, commits, isolated=True)

    def _connected(self) -> sqlite3.Connection:
        try:
            refuse_replaced(self._settings, self._identity)
        except FileReplacedError:
            self.replaced = True
            raise
        if self._connection is None:
            connection = connect_writer(self._settings)
            # The frames of a commit that failed must not come back when the log is next recovered.
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            self._connection = connection
        return self._connection

    def _recover(self, error: Exception) -> None:
        """Leave no transaction open, and no connection that met more than a refusal."""
        connection = self._connection
        if connection is None:
            return
        spoiled = isinstance(error, sqlite3.Error) and spoils_connection(error)
        try:
            _roll_back(connection)
        except sqlite3.Error:
            spoiled = True
        if spoiled:
            connection.close()
            self._connection = None

    def _warn(self, error: Exception) -> None:
        log.warning("checkpoint_failed", error=getattr(error, "sqlite_errorname", type(error).__name__))
        self._recover(error)

    def _answer(self, answers: Sequence[tuple[Job, Any]], moved: Moved | None = None) -> None:
        if answers:
            # A loop that was closed has nobody left who waits.
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._deliver, answers, moved)

    def _deliver(self, answers: Sequence[tuple[Job, Any]], moved: Moved | None) -> None:
        if moved is not None:
            self._readers.committed(moved.tips, moved.before, moved.after)
        for job, answer in answers:
            if job.future.done():
                continue
            if isinstance(answer, Exception):
                job.future.set_exception(answer)
            else:
                job.future.set_result(answer)

    def _keep_log_short(self) -> None:
        if self._since_checkpoint_bytes > self._settings.checkpoint_bytes:
            self._since_checkpoint_bytes = 0
            self._checkpointer.wake()
        if self._checkpointer.nearly_done:
            self._checkpointer.nearly_done = False
            self._finish_checkpoint()
        if self._since_look_bytes < self._settings.wal_cap_bytes // _LOOKS:
            return
        self._since_look_bytes = 0
        size_bytes = self._log_bytes()
        if size_bytes > self._truncate_at_bytes:
            emptied = self._empty_log(tries=1)
            more = 0 if emptied else size_bytes
            self._truncate_at_bytes = self._settings.wal_cap_bytes + more

    def _finish_checkpoint(self) -> None:
        # Under load the thread alone never catches up, and a log that is not moved as a whole only grows.
        try:
            with self._checkpointer.running, self._turnstile.turn():
                self._connected().execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        except (sqlite3.Error, LockTimeoutError, StorageUnavailable) as error:
            self._warn(error)

    def _log_bytes(self) -> int:
        try:
            return os.stat(f"{self._settings.path}-wal").st_size
        except OSError:
            return 0

    def _empty_log(self, tries: int, *, scrubbing: bool = False) -> bool:
        """Move all of the log into the file, and blank the log; with `scrubbing`, the file's unused space, too.

        Return whether it was done: not while a reader or another process needs the log.
        """
        for attempt in range(tries):
            if attempt:
                time.sleep(_WIPE_PAUSE_SECONDS)
            try:
                with self._checkpointer.running, self._turnstile.turn():
                    done = _truncate_log(self._connected(), self._settings)
                    done = done and (not scrubbing or scrub(self._settings, self._statements))
            except (sqlite3.Error, LockTimeoutError, StorageUnavailable, OSError) as error:
                self._warn(error)
                return False
            if done:
                self._remnants = self._remnants and not scrubbing
                return True
        return False


def _run_jobs(
    connection: sqlite3.Connection, group: Sequence[Job], commits: Commits, *, isolated: bool
) -> tuple[list[Any], Moved]:
    cursor = connection.cursor()
    cursor.execute("BEGIN IMMEDIATE")
    # From here on nobody else commits.
    before = commits.mark()
    results = [job.run(cursor, isolated) for job in group]
    reach("sqlite.before_commit")
    cursor.execute("COMMIT")
    reach("sqlite.after_commit")
    tips = {
        item.scope: Tip(item.records[-1].seq, item.records[-1].nonce)
        for job, outcomes in zip(group, results, strict=True)
        for item, outcome in zip(job.batch, outcomes if job.batch else (), strict=True)
        if outcome is Outcome.APPENDED
    }
    # Where nobody was moved, it may not have been a commit.
    return results, Moved(tips, before, commits.after_one(before) if tips else UNKNOWN)


def _roll_back(connection: sqlite3.Connection) -> None:
    if connection.in_transaction:
        connection.execute("ROLLBACK")


def _truncate_log(connection: sqlite3.Connection, settings: Settings) -> bool:
    connection.execute("PRAGMA busy_timeout = 0")
    try:
        reach("sqlite.before_wipe")
        ((busy, _, _),) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        reach("sqlite.after_wipe")
    finally:
        connection.execute(f"PRAGMA busy_timeout = {settings.busy_timeout_ms}")
    return not busy


def _failure(error: Exception) -> Exception:
    if isinstance(error, StorageUnavailable):
        return error
    if isinstance(error, sqlite3.Error):
        failure = unavailable(error)
    elif isinstance(error, LockTimeoutError):
        failure = StorageUnavailable("another process holds the database")
    else:
        log.error("writer_failed", error)
        return error
    failure.__cause__ = error
    return failure
