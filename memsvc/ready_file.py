"""Telling whoever started a server that it serves, and where."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from memsvc.errors import invalid


def write_ready_file(path: str, addresses: Sequence[str]) -> None:
    """Write the addresses, one a line; no path: nothing is written. Raises InvalidArgument where they cannot be."""
    if not path:
        return
    # Whoever waits for the file must never see half of it.
    ready = Path(path)
    unfinished = ready.with_name(f"{ready.name}.{os.getpid()}")
    try:
        unfinished.write_text("".join(f"{address}\n" for address in addresses), encoding="utf-8")
        unfinished.replace(ready)
    except OSError as error:
        with suppress(OSError):
            unfinished.unlink()
        raise invalid("ready_file", f"cannot write {path}: {error.strerror}") from error
