"""Locks between processes that share one database file: flocks on small files beside it, which are never deleted.

SQLite's own lock keeps the file whole but is not fair: a busy writer shuts its neighbours out for seconds. An flock
belongs to an open file description, so two drivers in one process are kept apart like two processes, and the kernel
frees the locks of a process that dies. They mean nothing across a network file system.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_FIRST_PAUSE_SECONDS = 0.00005
_LONGEST_PAUSE_SECONDS = 0.002


class LockTimeoutError(Exception):
    """Another process kept the lock for too long: it is frozen, or its disk is."""


class Turnstile:
    """Lets the writers of all processes take turns: nobody goes twice while another waits.

    Who wants to write takes the line, then the room, then gives up the line. Whoever leaves the room and wants back in
    finds the line taken by the next one.
    """

    def __init__(self, database: Path, timeout_seconds: float, mode: int) -> None:
        self._timeout_seconds = timeout_seconds
        self._line = _open(database, "line", mode)
        try:
            self._room = _open(database, "room", mode)
        except OSError:
            os.close(self._line)
            raise

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Hold the room. Raises LockTimeoutError."""
        deadline = time.monotonic() + self._timeout_seconds
        _lock(self._line, fcntl.LOCK_EX, deadline)
        try:
            _lock(self._room, fcntl.LOCK_EX, deadline)
        finally:
            fcntl.flock(self._line, fcntl.LOCK_UN)
        try:
            yield
        finally:
            # By name rather than by closing: a forked child may share the description.
            fcntl.flock(self._room, fcntl.LOCK_UN)

    def close(self) -> None:
        os.close(self._line)
        os.close(self._room)


class Presence:
    """Says whether any other process has the store open: everyone who does holds the lock, shared."""

    def __init__(self, database: Path, timeout_seconds: float, mode: int) -> None:
        self._timeout_seconds = timeout_seconds
        self._file = _open(database, "open", mode)

    def enter(self) -> bool:
        """Join, and return whether nobody else is there: then nobody joins before `settle`. Raises LockTimeoutError."""
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            # The others may only be opening it, too: when they have settled, what they wrote can be read.
            self.settle()
            return False
        return True

    def settle(self) -> None:
        """Let others join. Raises LockTimeoutError.

        Changing an flock is not atomic: another may have entered, alone, in between. What `enter` allowed must be read
        again after this.
        """
        _lock(self._file, fcntl.LOCK_SH, time.monotonic() + self._timeout_seconds)

    def close(self) -> None:
        fcntl.flock(self._file, fcntl.LOCK_UN)
        os.close(self._file)


def open_private(path: str, mode: int) -> int:
    """Open a file, made with just this mode where there is none. What is there stays as it is; a link is refused.

    Raises OSError.
    """
    flags = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        file = os.open(path, flags | os.O_CREAT | os.O_EXCL, mode)
    except FileExistsError:
        return os.open(path, flags)
    # Whatever the umask takes away.
    os.fchmod(file, mode)
    return file


def _open(database: Path, purpose: str, mode: int) -> int:
    # Whoever may open it can hold the lock, and so keep everybody else from writing.
    return open_private(f"{database}-{purpose}", mode)


def _lock(file: int, operation: int, deadline: float) -> None:
    # An flock cannot be waited for with a timeout, and one without would hang on a frozen neighbour for good.
    pause = _FIRST_PAUSE_SECONDS
    while True:
        try:
            fcntl.flock(file, operation | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise LockTimeoutError from None
            time.sleep(pause)
            pause = min(pause * 1.5, _LONGEST_PAUSE_SECONDS)
        else:
            return
