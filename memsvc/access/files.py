"""Files that are read again when they change: whoever asks gets what the file says now.

Whoever asks looks first, though not more often than each few milliseconds: what was taken out of a file is gone as soon
as that, and thousands of calls a second do not look for nothing. Who finds nothing can look at once. A file that is
gone holds nothing. One that was changed so lately that another change could look the same is not trusted to be as it
was.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, Generic, TypeVar

from memsvc.errors import InvalidArgument, invalid
from memsvc.log import Log

log = Log(__name__)

T = TypeVar("T")

_Stamp = tuple[int, int, int, int]
LOOK_SECONDS: Final = 0.005
"""What was seen so lately counts as what is there."""
_SETTLED_SECONDS: Final = 0.05
"""Clocks of file systems may tick so seldom."""


class WatchedFile(Generic[T]):
    """What a file says."""

    def __init__(self, setting: str, path: str, read: Callable[[bytes], T], missing: T | None = None) -> None:
        """Read the file. `missing`: what it says once it is gone; None: what it said last.

        Raises InvalidArgument naming the setting where it cannot be read.
        """
        self._setting = setting
        self._path = Path(path)
        self._read = read
        self._missing = missing
        self._complained: object = None
        self._looked = -LOOK_SECONDS
        self.version = 0
        """Raised by each change."""
        try:
            self._stamp, self._bytes = self._content()
            self._said = read(self._bytes)
        except OSError as error:
            raise invalid(setting, f"cannot read {path}: {error.strerror}") from error

    def now(self, *, at_once: bool = False) -> T:
        """Return what the file says now; where it can be read no more, or says nothing that makes sense, see above."""
        now = time.monotonic()
        if now - self._looked < LOOK_SECONDS and not at_once:
            return self._said
        self._looked = now
        try:
            status = os.stat(self._path)
            if _stamp_of(status) == self._stamp:
                return self._said
            stamp, content = self._content()
            said = self._said if content == self._bytes else self._read(content)
        except (OSError, InvalidArgument) as error:
            self._complain(error)
            if isinstance(error, FileNotFoundError) and self._missing is not None:
                self._change(None, b"", self._missing)
            return self._said
        self._complained = None
        self._change(stamp, content, said)
        return self._said

    def _change(self, stamp: _Stamp | None, content: bytes, said: T) -> None:
        self._stamp, self._bytes = stamp, content
        if said is not self._said:
            self._said = said
            self.version += 1
            log.info("file_reloaded", setting=self._setting, path=str(self._path))

    def _content(self) -> tuple[_Stamp | None, bytes]:
        with self._path.open("rb") as file:
            status = os.fstat(file.fileno())
            content = file.read()
        settled = time.time() - max(status.st_mtime, status.st_ctime) > _SETTLED_SECONDS
        return (_stamp_of(status) if settled else None), content

    def _complain(self, error: Exception) -> None:
        complaint = (type(error), str(error))
        if complaint != self._complained:
            self._complained = complaint
            why = error.message if isinstance(error, InvalidArgument) else getattr(error, "strerror", "")
            log.error("file_not_reloaded", setting=self._setting, path=str(self._path), because=why)


def _stamp_of(status: os.stat_result) -> _Stamp:
    return status.st_ino, status.st_mtime_ns, status.st_ctime_ns, status.st_size
