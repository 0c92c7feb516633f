"""Owning the path of a unix socket.

gRPC takes over a path that another server listens on, and deletes the other's socket when it stops. So a server holds
a lock on a file beside the socket from before it binds until it has stopped; flock(2) ends with its process. The file
stays empty, and one of that name that somebody else made is only locked, never written to. Since anybody may delete it,
and other programs do not know of it, the socket itself is asked too: where it takes connections, somebody serves it.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import socket
import stat
import struct
from pathlib import Path
from typing import Final

from memsvc.errors import InvalidArgument, invalid

SOCKET_MODE: Final = 0o660
_LOCK_MODE: Final = 0o600
_LOCKS: Final = Path("/proc/locks")
_PEER: Final = struct.Struct("3i")


class SocketLock:
    """Holds the path of a socket."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: int | None = None
        self._bound: tuple[int, int] | None = None

    def acquire(self) -> None:
        """Make the folder, lock the path and remove what a dead server left there.

        Raises InvalidArgument that says which process holds it, or that something else is in its place.
        """
        self._refuse_other()
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise invalid("listen", f"cannot make {self.path.parent}: {error.strerror}") from error
        self._file = self._locked_file()
        try:
            self._remove_stale()
        except BaseException:
            self._close()
            raise

    def bound(self) -> None:
        """Remember the socket that now stands at the path: `release` removes no other."""
        self._bound = _identity(self.path.lstat())

    def release(self) -> None:
        """Remove the socket and let the path go. Does nothing where it is not held."""
        if self._file is None:
            return
        with contextlib.suppress(FileNotFoundError):
            if self._bound == _identity(self.path.lstat()):
                self.path.unlink()
        self._close()

    def _locked_file(self) -> int:
        """Return the lock file, locked, once what is at its path is what was locked."""
        lock = self.path.with_name(self.path.name + ".lock")
        while True:
            try:
                # A link would lead to a file of somebody else's, and a pipe would make us wait.
                flags = os.O_RDONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
                file = os.open(lock, flags, _LOCK_MODE)
            except OSError as error:
                what = "it is a symbolic link" if error.errno == errno.ELOOP else error.strerror
                raise invalid("listen", f"cannot lock {self.path} by {lock}: {what}") from error
            try:
                found = os.fstat(file)
                if not stat.S_ISREG(found.st_mode):
                    raise invalid("listen", f"cannot lock {self.path} by {lock}: it is no file")
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except OSError as error:
                    raise self._served_by(_holder(found)) from error
                if _is_at(lock, found):
                    return file
            except BaseException:
                os.close(file)
                raise
            os.close(file)

    def _refuse_other(self) -> bool:
        """Return whether a socket is there. Raises InvalidArgument where something else is."""
        try:
            found = self.path.lstat()
        except (FileNotFoundError, NotADirectoryError):
            return False
        if not stat.S_ISSOCK(found.st_mode):
            raise invalid("listen", f"{self.path} exists and is no socket")
        return True

    def _remove_stale(self) -> None:
        if not self._refuse_other():
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            # A server that is frozen takes connections until its backlog is full, and then says "try again".
            probe.setblocking(False)
            try:
                probe.connect(str(self.path))
            except ConnectionRefusedError:
                pass
            except FileNotFoundError:
                return
            except OSError as error:
                if error.errno not in (errno.EAGAIN, errno.EPROTOTYPE):
                    raise invalid("listen", f"cannot tell who serves {self.path}: {error.strerror}") from error
                raise self._served_by(0) from error
            else:
                raise self._served_by(_peer(probe))
        self.path.unlink(missing_ok=True)

    def _served_by(self, process: int) -> InvalidArgument:
        return invalid("listen", f"{self.path} is served by {f'process {process}' if process else 'another process'}")

    def _close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None


def _identity(found: os.stat_result) -> tuple[int, int]:
    return found.st_dev, found.st_ino


def _is_at(path: Path, found: os.stat_result) -> bool:
    """Whether a file is still at its path: it may have been deleted, and made anew, before it was locked."""
    try:
        return _identity(path.lstat()) == _identity(found)
    except FileNotFoundError:
        return False


def _peer(connection: socket.socket) -> int:
    """Return the process that listens; 0 where the system does not tell."""
    if not hasattr(socket, "SO_PEERCRED"):
        return 0
    process, _, _ = _PEER.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size))
    return int(process)


def _holder(found: os.stat_result) -> int:
    """Return the process that holds the lock of a file; 0 where the system does not tell."""
    device = f"{os.major(found.st_dev):02x}:{os.minor(found.st_dev):02x}:{found.st_ino}"
    try:
        for line in _LOCKS.read_text().splitlines():
            # 1: FLOCK  ADVISORY  WRITE 708 08:01:1310729 0 EOF
            fields = line.split()
            if fields[1] == "FLOCK" and fields[5] == device:
                return max(0, int(fields[4]))
    except (OSError, IndexError, ValueError):
        return 0
    return 0
