"""The server's clock."""

from __future__ import annotations

import time
from datetime import UTC, datetime


def now_micros() -> int:
    """Return the server's clock, microseconds since the epoch."""
    return time.time_ns() // 1000


def in_words(micros: int) -> str:
    """Return a time as people write it: `2026-03-02T18:40:00.000Z`."""
    return datetime.fromtimestamp(micros / 1_000_000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
