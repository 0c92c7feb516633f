"""Server processes: started, waited for, stopped."""

from __future__ import annotations

import itertools
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

_START_SECONDS = 30.0
_STOP_SECONDS = 30.0
_numbers = itertools.count()


@dataclass(frozen=True, slots=True)
class Server:
    """A process that serves on a unix socket."""

    address: str
    process: psutil.Popen
    start_seconds: float
    """From its start until it said that it serves."""
    ready_file: Path

    @property
    def tcp_address(self) -> str:
        """Where it serves besides its socket."""
        return next(line for line in self.ready_file.read_text().splitlines() if not line.startswith("unix:"))

    @property
    def resident_bytes(self) -> int:
        return int(self.process.memory_info().rss)

    @property
    def processor_seconds(self) -> float:
        times = self.process.cpu_times()
        return float(times.user + times.system)


@contextmanager
def memsvc(scratch: Path, *settings: str, pauses: Path | None = None) -> Iterator[Server]:
    """Run memsvc on a new SQLite file with rules, unless told otherwise; `pauses`: see `bench.pauses`."""
    storage = (
        [] if "--storage-url" in settings else ["--storage-url", f"sqlite:///{scratch}/memsvc-{next(_numbers)}.db"]
    )
    program = ["memsvc"] if pauses is None else ["bench.pauses", str(pauses)]
    engine = [] if "--engine" in settings else ["--engine", "rules"]
    with _place() as (address, ready_file):
        given = ["--listen", address, "--ready-file", str(ready_file), *storage, *engine, *settings]
        with _running([*program, "serve", "--log-level", "WARNING", *given], address, ready_file) as server:
            yield server


@contextmanager
def echo() -> Iterator[Server]:
    """Run the bare server of `bench.echo`."""
    with _place() as (address, ready_file):
        with _running(["bench.echo", address, str(ready_file)], address, ready_file) as server:
            yield server


@contextmanager
def _place() -> Iterator[tuple[str, Path]]:
    """Yield an address and a ready file; in the system's folder, as the path of a socket has to be short."""
    with tempfile.TemporaryDirectory(prefix="memsvc-bench-") as folder:
        yield f"unix://{folder}/socket", Path(folder) / "ready"


def _as_installed() -> dict[str, str]:
    """Return the environment of a server whose modules were compiled when it was installed, as pip and the image do."""
    cache = str(Path("tmp", "bytecode").resolve())
    return {**os.environ, "PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": cache}


@contextmanager
def _running(module: Sequence[str], address: str, ready_file: Path) -> Iterator[Server]:
    started = time.perf_counter()
    process = psutil.Popen([sys.executable, "-m", *module], env=_as_installed())
    try:
        while not (ready_file.exists() and ready_file.read_text()):
            if process.poll() is not None:
                raise RuntimeError(f"{module[0]} ended with code {process.returncode} before it served")
            if time.perf_counter() > started + _START_SECONDS:
                raise TimeoutError(f"{module[0]} does not serve after {_START_SECONDS:g} s")
            time.sleep(0.001)
        yield Server(address, process, time.perf_counter() - started, ready_file)
    finally:
        code = _ended(process)
    if code:
        raise RuntimeError(f"{module[0]} ended with code {code} after SIGTERM")


def _ended(process: psutil.Popen) -> int:
    """End a process and return its code."""
    process.send_signal(signal.SIGTERM)
    try:
        return int(process.wait(_STOP_SECONDS))
    except psutil.TimeoutExpired:
        process.kill()
        return int(process.wait())
