"""RAM that a burst of calls took goes back to the system.

glibc keeps what was freed: in an arena for each thread, of which gRPC has several, and below whatever lies on top.
After a burst of large requests three times what the server needs stays resident, in a pod that shares its limit. So
there is one arena, large blocks come from the system and return to it at once, and the rest is given back after each
growth. Elsewhere than on glibc nothing of this is done.
"""

from __future__ import annotations

import asyncio
import ctypes
import sys
from pathlib import Path
from typing import Any, Final

_LOOK_SECONDS: Final = 2.0
_LONGEST_PAUSE_SECONDS: Final = 15.0
_GROWTH: Final = 1.1
_GROWTH_BYTES: Final = 4 << 20
_LARGE_BYTES: Final = 128 << 10
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
_PAGES: Final = Path("/proc/self/statm")
_PAGE_BYTES: Final = 4096


def tune() -> None:
    """Set how memory is taken from the system; before there are other threads."""
    glibc = _glibc()
    if glibc is not None:
        for setting, value in ((_ARENA_MAX, 1), (_MMAP_THRESHOLD, _LARGE_BYTES), (_TRIM_THRESHOLD, _LARGE_BYTES)):
            glibc.mallopt(setting, value)


async def give_back_what_bursts_leave() -> None:
    """Look every few seconds whether more is resident than at the start, and give back what of it is free.

    Where nothing is (a cache has grown), it is tried less and less often. Never returns.
    """
    glibc = _glibc()
    if glibc is None:
        return
    least = _resident_bytes()
    pause = _LOOK_SECONDS
    while True:
        await asyncio.sleep(pause)
        resident = _resident_bytes()
        least = min(least, resident)
        if resident < least * _GROWTH + _GROWTH_BYTES:
            pause = _LOOK_SECONDS
            continue
        # In a thread: it takes milliseconds.
        await asyncio.to_thread(glibc.malloc_trim, 0)
        gained = resident - _resident_bytes()
        pause = _LOOK_SECONDS if gained > _GROWTH_BYTES else min(2 * pause, _LONGEST_PAUSE_SECONDS)


def _glibc() -> Any:
    """Return the C library where it is glibc."""
    if not sys.platform.startswith("linux"):
        return None
    library = ctypes.CDLL(None)
    return library if hasattr(library, "malloc_trim") and hasattr(library, "gnu_get_libc_version") else None


def _resident_bytes() -> int:
    return int(_PAGES.read_text().split()[1]) * _PAGE_BYTES
