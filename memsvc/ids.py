"""Ids that the server makes: UUIDs of version 7 (RFC 9562), so that they sort by time, and within a write by place."""

from __future__ import annotations

import hashlib
import os
import time

_last_micros = 0


def new_id() -> str:
    """Return a new UUIDv7, above all that this process made before."""
    global _last_micros
    _last_micros = max(time.time_ns() // 1_000, _last_micros + 1)
    return _uuid7(_last_micros, os.urandom(8))


def derived_id(time_micros: int, nonce: str, counter: int) -> str:
    """Return the UUIDv7 that belongs to a moment and a counter: the same for the same, random through the nonce.

    Those of one moment sort by their counter, which is below 65,536.
    """
    return _uuid7(
        time_micros, counter.to_bytes(2) + hashlib.blake2b(f"{nonce}/{counter}".encode(), digest_size=6).digest()
    )


def _uuid7(time_micros: int, rest: bytes) -> str:
    time_millis, micros = divmod(time_micros, 1_000)
    value = (time_millis & (1 << 48) - 1) << 80 | 0x7 << 76 | micros << 66
    digits = f"{value | 0x2 << 62 | int.from_bytes(rest) >> 2:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
