"""A server for a database, for as long as a command needs it."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import click

_START_SECONDS: Final = 60.0
_POLL_SECONDS: Final = 0.02
_LOG_TAIL: Final = 2_000


@contextmanager
def serving(storage_url: str) -> Iterator[str]:
    """Run `memsvc serve` on a database, and hand out its target. Raises ClickException where it does not start."""
    with tempfile.TemporaryDirectory(prefix="memsvc") as folder:
        target, ready, log = f"unix://{folder}/memsvc.sock", Path(folder, "ready"), Path(folder, "log")
        command = [sys.executable, "-m", "memsvc", "serve", "--listen", target, "--ready-file", str(ready)]
        with log.open("wb") as output:
            process = subprocess.Popen(  # noqa: S603
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                # Not in the list of processes: it may hold a password.
                env={**os.environ, "MEMSVC_STORAGE_URL": storage_url},
            )
        try:
            deadline = time.monotonic() + _START_SECONDS
            while not ready.exists():
                if process.poll() is not None or time.monotonic() > deadline:
                    tail = log.read_bytes()[-_LOG_TAIL:].decode(errors="replace").strip()
                    raise click.ClickException(f"no server for --to: {tail}")
                time.sleep(_POLL_SECONDS)
            yield target
        finally:
            process.terminate()
            process.wait()
