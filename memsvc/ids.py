"""Ids that the server makes: UUIDs of version 7 (RFC 9562), so that they sort by time."""

from __future__ import annotations

import hashlib
import secrets
import time
import uuid


def new_id() -> str:
    """Return a new UUIDv7."""
    return _uuid7(time.time_ns() // 1_000_000, secrets.token_bytes(10))


def derived_id(time_micros: int, nonce: str, counter: int) -> str:
    """Return the UUIDv7 that belongs to a moment and a counter: the same for the same, random through the nonce."""
    return _uuid7(time_micros // 1000, hashlib.blake2b(f"{nonce}/{counter}".encode(), digest_size=10).digest())


def _uuid7(time_millis: int, random_bytes: bytes) -> str:
    value = (time_millis & (1 << 48) - 1) << 80 | int.from_bytes(random_bytes)
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return str(uuid.UUID(int=value))
