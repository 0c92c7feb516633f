"""Owning the path of a unix socket.

gRPC takes over a path that another server listens on, and deletes the other's socket when it stops. So a server holds
a lock on a file beside the socket from before it binds until it has stopped; flock(2) ends with its process.
"""

from __future__ import annotations

import fcntl
import os
import stat
from pathlib import Path

from memsvc.errors import invalid

SOCKET_MODE = 0o660


class SocketLock:
    """Holds the path of a socket."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: int | None = None

    def acquire(self) -> None:
        """Make the folder, lock the path and remove what a dead server left there.

        Raises InvalidArgument that says which process holds it, or that something else is in its place.
        """
        lock = self.path.with_name(self.path.name + ".lock")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            file = os.open(lock, os.O_RDWR | os.O_CREAT, SOCKET_MODE)
        except OSError as error:
            raise invalid("listen", f"cannot lock {self.path}: {error.strerror}") from error
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.read(file, 20).decode(errors="replace").strip()
            os.close(file)
            raise invalid("listen", f"{self.path} is served by process {holder or 'unknown'}") from error
        self._file = file
        os.truncate(file, 0)
        os.pwrite(file, f"{os.getpid()}\n".encode(), 0)
        self._remove_stale()

    def _remove_stale(self) -> None:
        try:
            mode = self.path.lstat().st_mode
        except FileNotFoundError:
            return
        if not stat.S_ISSOCK(mode):
            self._close()
            raise invalid("listen", f"{self.path} exists and is no socket")
        self.path.unlink()

    def release(self) -> None:
        """Remove the socket and let the path go. Does nothing where it is not held."""
        if self._file is not None:
            self.path.unlink(missing_ok=True)
            self._close()

    def _close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None
