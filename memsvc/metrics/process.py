"""The process itself, by the names that Prometheus's own libraries use."""

from __future__ import annotations

import gc
import os
import resource
import sys
import time
from pathlib import Path
from typing import Final

from memsvc.metrics.instruments import Asked, Family

_PAGE_BYTES: Final = resource.getpagesize()


def process_families() -> list[Family]:
    """Return what is known of this process."""
    started = time.time() - time.process_time() if not sys.platform.startswith("linux") else _start_time()
    return [
        Asked("process_cpu_seconds_total", "Processor time, user and system.", time.process_time, kind="counter"),
        Asked("process_resident_memory_bytes", "RAM in use.", _resident_bytes),
        Asked("process_open_fds", "Open files and sockets.", _open_files),
        Asked("process_max_fds", "How many may be open.", lambda: resource.getrlimit(resource.RLIMIT_NOFILE)[0]),
        Asked("process_start_time_seconds", "When it started, in seconds since the epoch.", lambda: started),
        Asked(
            "python_gc_collections_total",
            "Collections of garbage, by generation.",
            lambda: {(str(index),): each["collections"] for index, each in enumerate(gc.get_stats())},
            ("generation",),
            "counter",
        ),
    ]


def _resident_bytes() -> float:
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE_BYTES
    except OSError:
        # Elsewhere only the most that it ever was is told: in KiB, but in bytes on macOS.
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _open_files() -> float:
    try:
        return len(os.listdir("/proc/self/fd"))
    except OSError:
        return 0


def _start_time() -> float:
    ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
    return time.time() - (float(Path("/proc/uptime").read_text().split()[0]) - ticks / os.sysconf("SC_CLK_TCK"))
