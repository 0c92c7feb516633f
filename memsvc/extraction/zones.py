"""In which time zone a user speaks: "yesterday" is another day in New York than in Tokyo."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, tzinfo
from typing import Final

from memsvc.model import Layer, Memory

_ZONE_KEYS: Final = frozenset({"timezone", "time_zone"})


def zone_of(known: Iterable[Memory]) -> tzinfo:
    """Return the user's time zone where it is among what is known, else UTC."""
    memory = zone_memory(known)
    if memory is None:
        return UTC
    # Most users have none, and a server that never needs zones does not load them.
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    try:
        return ZoneInfo(memory.value_json.strip('"') or memory.text)
    except (ValueError, OSError, ZoneInfoNotFoundError):
        return UTC


def zone_memory(memories: Iterable[Memory]) -> Memory | None:
    """Return the memory that says in which time zone the user is."""
    places = (each for each in memories if each.key and each.layer is Layer.PROFILE)
    return next((each for each in places if each.key.rpartition(".")[2] in _ZONE_KEYS), None)
