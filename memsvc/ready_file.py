"""Telling whoever started a server that it serves, and where."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path


def write_ready_file(path: str, addresses: Sequence[str]) -> None:
    """Write the addresses, one a line; no path: nothing is written."""
    if not path:
        return
    # Whoever waits for the file must never see half of it.
    ready = Path(path)
    unfinished = ready.with_name(f"{ready.name}.{os.getpid()}")
    unfinished.write_text("".join(f"{address}\n" for address in addresses), encoding="utf-8")
    unfinished.replace(ready)
