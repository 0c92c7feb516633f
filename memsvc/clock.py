"""The server's clock."""

from __future__ import annotations

import time


def now_micros() -> int:
    """Return the server's clock, microseconds since the epoch."""
    return time.time_ns() // 1000
