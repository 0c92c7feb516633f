"""Folders and ports for servers, so that several runs of the tests at once do not meet."""

from __future__ import annotations

import contextlib
import fcntl
import os
import random
import shutil
import socket
import tempfile
import time
from functools import cache
from pathlib import Path

_PREFIX = "memsvc-server-"
_LOCK = ".in-use"
_SETTLED_SECONDS = 60.0
_LOWEST_PORT = 10_000
_BUS_OFFSET = 10_000
"""How far a Redis Cluster's other port is above its port."""


def new_folder(title: str) -> Path:
    """Return an empty folder for a server's data; what killed runs of the tests left behind is deleted."""
    _sweep()
    folder = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{title.lower()}-"))
    # Other users than the one who runs the tests may be the one who runs the server.
    folder.chmod(0o755)
    # Held until the process ends, and open until then.
    fcntl.flock(os.open(folder / _LOCK, os.O_CREAT | os.O_RDWR), fcntl.LOCK_EX)
    return folder


def free_port(*, with_bus: bool = False) -> int:
    """Return a port that nobody listens on; `with_bus`: nor on the one that a Redis Cluster uses besides.

    It is below those that the kernel gives to outgoing connections: a client that connects to a killed server's port
    might be given that very port, and be connected with itself.
    """
    lowest_outgoing = _lowest_outgoing_port()
    highest = lowest_outgoing - 1 - (_BUS_OFFSET if with_bus else 0)
    while True:
        port = random.SystemRandom().randint(_LOWEST_PORT, highest)
        if all(map(_is_free, (port, port + _BUS_OFFSET) if with_bus else (port,))):
            return port


def _is_free(port: int) -> bool:
    with socket.socket() as listening:
        try:
            listening.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _lowest_outgoing_port() -> int:
    try:
        return int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    except OSError:
        return 32_768


@cache
def _sweep() -> None:
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):
            if time.time() - folder.stat().st_mtime < _SETTLED_SECONDS:
                continue
            lock = os.open(folder / _LOCK, os.O_RDWR)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(lock)
