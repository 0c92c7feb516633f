"""Whether anybody has committed to the file, told without asking SQLite.

In WAL mode all who have the file open share memory, the file with `-shm` at its name's end. It begins with a header of
48 bytes, twice, that each commit of any process changes before it is acknowledged: SQLite's own readers begin by
looking whether it is still the one that they know (https://sqlite.org/walformat.html, "WAL-Index Header"). So while it
is the same, a statement would answer what it answered before. To look takes a fifth of a microsecond; to begin and to
end a read of SQLite takes locks, and with all else that a server does some ten.

    0  version, 3007000    4  unused    8  count of commits   12  whether it is complete   ...   48  the same once more

A writer fills the second copy first: where the two differ, it is at it, and nobody knows.

POSIX frees all locks of a process on a file when the process closes any descriptor of it, and SQLite's own locks are on
this file. So a process maps it once, and closes it when none of its stores has the file open any more.
"""

from __future__ import annotations

import mmap
import os
import sys
import threading
from pathlib import Path
from typing import Final

UNKNOWN: Final = b""

_HEADER_BYTES: Final = 48
_VERSION: Final = (3_007_000).to_bytes(4, sys.byteorder)
_COUNT: Final = slice(8, 12)
_COUNTS: Final = 1 << 32
_COMPLETE: Final = 12


def _count(mark: bytes) -> int:
    return int.from_bytes(mark[_COUNT], sys.byteorder)


class Commits:
    """Looks at the header of one file.

    That must have been read by a connection which stays open while this looks: when the last one of a process is
    closed, the shared memory may go, and another take its place. `close` comes after those of the store are closed.
    """

    def __init__(self) -> None:
        self._shared: _Shared | None = None
        self._memory: mmap.mmap | None = None

    def look_at(self, database: Path) -> None:
        """Look from now on, where the file has shared memory of the form that is known here."""
        self._shared = _Shared.of(Path(f"{database}-shm"))
        self._memory = self._shared.memory if self._shared is not None and self._shared.is_known else None

    def mark(self) -> bytes:
        """Return what is another one after each commit; UNKNOWN where that cannot be told now."""
        # The writer's thread asks, too, and the loop may look no more meanwhile.
        memory = self._memory
        if memory is None:
            return UNKNOWN
        header = memory[:_HEADER_BYTES]
        return header if header == memory[_HEADER_BYTES : 2 * _HEADER_BYTES] else UNKNOWN

    def after_one(self, before: bytes) -> bytes:
        """Return the mark of now if there was exactly one commit since another mark; UNKNOWN where that is not so."""
        now = self.mark()
        return now if before and now and _count(now) == (_count(before) + 1) % _COUNTS else UNKNOWN

    def look_no_more(self) -> None:
        """Answer UNKNOWN from now on."""
        self._memory = None

    def close(self) -> None:
        """Let go of the file."""
        self.look_no_more()
        shared, self._shared = self._shared, None
        if shared is not None:
            shared.release()


class _Shared:
    """A file that is mapped, for all stores of this process that have it open."""

    _mapped: Final[dict[tuple[int, int], _Shared]] = {}
    _lock: Final = threading.Lock()

    def __init__(self, descriptor: int, identity: tuple[int, int]) -> None:
        self.memory = mmap.mmap(descriptor, 2 * _HEADER_BYTES, prot=mmap.PROT_READ)
        self._descriptor = descriptor
        self._identity = identity
        self._users = 0

    @classmethod
    def of(cls, path: Path) -> _Shared | None:
        """Return what is mapped of the file; None if it is not there, or empty."""
        with cls._lock:
            try:
                found = os.stat(path)
                identity = found.st_dev, found.st_ino
                shared = cls._mapped.get(identity)
                if shared is None:
                    shared = cls._mapped[identity] = cls(os.open(path, os.O_RDONLY | os.O_CLOEXEC), identity)
            except (OSError, ValueError):
                return None
            shared._users += 1
        return shared

    @property
    def is_known(self) -> bool:
        """Whether it is of the form that is known here. One of another form stays open, too, as long as SQLite's."""
        return self.memory[:4] == _VERSION and bool(self.memory[_COMPLETE])

    def release(self) -> None:
        with self._lock:
            self._users -= 1
            if not self._users:
                del self._mapped[self._identity]
                self.memory.close()
                os.close(self._descriptor)
