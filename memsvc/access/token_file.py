"""Changes the file of those who may call, whole or not at all, while servers read it."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec

from memsvc.access.tokens import Entry, check_entry, read_entry, read_lines
from memsvc.errors import AlreadyExists, InvalidArgument, NotFound, Reason, invalid

_MODE: Final = 0o600


class TokenFile:
    """The file at a path. Lines that make no sense are left as they are."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def entries(self) -> Sequence[Entry]:
        """Return what the file holds. Raises InvalidArgument where it cannot be read."""
        return [entry for _, entry in self.lines() if isinstance(entry, Entry)]

    def lines(self) -> Sequence[tuple[int, Entry | InvalidArgument]]:
        """Return the lines with their numbers, or why they are ignored. Raises InvalidArgument as above."""
        return list(read_lines(b"\n".join(self._lines())))

    def add(self, entry: Entry) -> None:
        """Add a line. Raises InvalidArgument for one that makes no sense, AlreadyExists for an id that is taken."""
        check_entry(entry)

        def added(lines: list[bytes]) -> list[bytes]:
            if any(each is not None and each.id == entry.id for each in map(_entry_of, lines)):
                raise AlreadyExists(Reason.INVALID_FIELD, f"id {entry.id} is taken")
            return [*lines, msgspec.json.encode(entry)]

        self._change(added)

    def remove(self, entry_ids: Sequence[str]) -> None:
        """Take lines out. Raises NotFound that names an id which is not there, and then has taken none."""

        def left(lines: list[bytes]) -> list[bytes]:
            found = {entry.id for entry in map(_entry_of, lines) if entry is not None}
            for entry_id in entry_ids:
                if entry_id not in found:
                    raise NotFound(Reason.INVALID_FIELD, f"{self.path} has no id {entry_id}")
            return [line for line in lines if (entry := _entry_of(line)) is None or entry.id not in entry_ids]

        self._change(left)

    def _lines(self) -> list[bytes]:
        try:
            return self.path.read_bytes().splitlines()
        except FileNotFoundError:
            return []
        except OSError as error:
            raise invalid("tokens_file", f"cannot read {self.path}: {error.strerror}") from error

    def _change(self, change: Callable[[list[bytes]], list[bytes]]) -> None:
        try:
            # A link stays one: what it leads to is changed.
            path = self.path.resolve()
            path.parent.mkdir(parents=True, exist_ok=True)
            with _locked(path.parent):
                content = b"".join(line + b"\n" for line in change(self._lines()))
                unfinished = path.with_name(f".{path.name}.{os.getpid()}")
                with contextlib.suppress(FileNotFoundError):
                    unfinished.unlink()
                file = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _mode_of(path))
                with open(file, "wb") as writing:
                    writing.write(content)
                    writing.flush()
                    os.fsync(writing.fileno())
                unfinished.replace(path)
        except OSError as error:
            raise invalid("tokens_file", f"cannot write {self.path}: {error.strerror}") from error


def _mode_of(path: Path) -> int:
    return path.stat().st_mode & 0o777 if path.exists() else _MODE


def _entry_of(line: bytes) -> Entry | None:
    try:
        return read_entry(line)
    except InvalidArgument:
        return None


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
