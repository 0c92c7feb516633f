"""Servers that clients of a test started for themselves: they end once nobody uses them, and have to end well."""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.torture.process import STOP_SECONDS, ServerEnded, ill_words


@contextlib.contextmanager
def seen_to_end() -> Iterator[dict[str, str]]:
    """Yield the variables that their clients need, and see them end. Raises ServerEnded where a log has errors."""
    # Its path must be short: a socket's may have about 100 bytes.
    with tempfile.TemporaryDirectory(prefix="memsvc") as folder:
        yield {"XDG_RUNTIME_DIR": folder, "PYTHONFAULTHANDLER": "1"}
        _see_end(Path(folder))


def _see_end(runtime_dir: Path) -> None:
    deadline = time.monotonic() + STOP_SECONDS
    for folder in (runtime_dir / "memsvc").glob("*/"):
        lock = os.open(folder / "server.lock", os.O_RDWR)
        try:
            while not _unlocked(lock):
                if time.monotonic() > deadline:
                    raise TimeoutError(f"a server does not end: {folder}")
                time.sleep(0.02)
        finally:
            os.close(lock)
        if ill := ill_words((folder / "server.log").read_text(errors="replace")):
            raise ServerEnded(f"its log has errors: {ill}")


def _unlocked(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
