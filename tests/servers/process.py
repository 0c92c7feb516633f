"""A database server as processes of its own: started, killed, frozen, started again on the same data and port."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import psutil

from tests.servers.places import free_port, new_folder

START_SECONDS = 60.0
STOP_SECONDS = 30.0
_POLL_SECONDS = 0.005
_LOG_TAIL_BYTES = 4_000


class ServerMissing(Exception):
    """This machine has no such server; the message says what to install."""


class ServerEnded(Exception):
    """The server ended before it answered; the message has the end of its log."""


class DatabaseServer(ABC):
    """One server. Made stopped; whoever made it closes it, or it is closed when Python exits."""

    title: ClassVar[str]
    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM
    user: str | None = None
    """Whom its processes run as; None: as whoever runs the tests."""

    def __init__(self) -> None:
        self.folder = new_folder(self.title)
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        _open.add(self)

    @property
    @abstractmethod
    def url(self) -> str:
        """Where memsvc finds an empty store on it."""

    @abstractmethod
    def command(self) -> Sequence[str]:
        """Return what starts it."""

    @abstractmethod
    def answers(self) -> bool:
        """Say at once whether it can be used by now."""

    @cached_property
    def log(self) -> Path:
        return self.folder / "server.log"

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """Its first process, which is running."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start it and return once it answers. Raises ServerEnded, TimeoutError."""
        self.launch()
        deadline = time.monotonic() + START_SECONDS
        while not self._is_ready():
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self.title} does not answer\n{self.log_tail()}")
            time.sleep(_POLL_SECONDS)

    def launch(self) -> None:
        """Start it and return at once."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*as_user(self.user), *ends_with_its_parent(), *self.command()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                env=environment(),
                # Ctrl-C is for pytest, which ends its servers itself.
                start_new_session=True,
            )

    async def ready(self) -> None:
        """Return once it answers. Raises ServerEnded, TimeoutError."""
        async with asyncio.timeout(START_SECONDS):
            while not self._is_ready():
                await asyncio.sleep(_POLL_SECONDS)

    def kill(self) -> None:
        """End all its processes at once, as a crash of its node would; return when they are gone."""
        family = self._freeze()
        for process in reversed(family):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self._reap(family)

    def stop(self) -> None:
        """Ask it to end and return when it has."""
        if self._process is None:
            return
        self.thaw()
        self._process.send_signal(self.stop_signal)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(STOP_SECONDS)
        self.kill()

    def freeze(self) -> None:
        """Stop all its processes where they are; its port still takes connections."""
        self._freeze()

    def thaw(self) -> None:
        for process in reversed(list(self._family())):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.resume()

    def close(self) -> None:
        """Kill it and delete its data."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)
        _open.discard(self)

    def log_tail(self) -> str:
        return self.log.read_bytes()[-_LOG_TAIL_BYTES:].decode(errors="replace") if self.log.exists() else ""

    def _is_ready(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            raise ServerEnded(f"{self.title}: exit code {self._process.returncode}\n{self.log_tail()}")
        return self.answers()

    def _freeze(self) -> list[psutil.Process]:
        """Stop the processes, the first one before the others: it could start more."""
        family = []
        for process in self._family():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.suspend()
                while _runs(process):
                    time.sleep(_POLL_SECONDS)
                family.append(process)
        return family

    def _family(self) -> Iterator[psutil.Process]:
        if self._process is None or self._process.poll() is not None:
            return
        with contextlib.suppress(psutil.NoSuchProcess):
            parent = psutil.Process(self._process.pid)
            yield parent
            yield from parent.children(recursive=True)

    def _reap(self, family: Sequence[psutil.Process]) -> None:
        if self._process is None:
            return
        self._process.wait(STOP_SECONDS)
        self._process = None
        deadline = time.monotonic() + STOP_SECONDS
        while any(map(_lives, family)):
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self.title} cannot be killed")
            time.sleep(_POLL_SECONDS)


def environment() -> Mapping[str, str]:
    """Return the environment of a server: nothing of the tests' own may change what it does."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"}


def as_user(user: str | None) -> Sequence[str]:
    """Return what to start a command with so that it runs as this user; None: as whoever runs the tests."""
    if user is None:
        return []
    # Not by Popen's `user`: that forks the whole of the tests' process, threads and gRPC in it.
    if shutil.which("setpriv"):
        return ["setpriv", "--reuid", user, "--regid", str(pwd.getpwnam(user).pw_gid), "--clear-groups", "--"]
    return ["runuser", "-u", user, "--"]


def ends_with_its_parent() -> Sequence[str]:
    """Return what to start a command with so that it is killed when whoever starts it is, by whatever means."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "KILL", "--"] if setpriv else []


def _runs(process: psutil.Process) -> bool:
    """Whether a thread of a process that was told to stop has not heard of it yet."""
    threads = Path(f"/proc/{process.pid}/task").glob("*/stat")
    try:
        return any(thread.read_text().rpartition(")")[2].split()[0] not in "TtZX" for thread in threads)
    except OSError:
        return False


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


_open: set[DatabaseServer] = set()
_opener = os.getpid()


@atexit.register
def _close_all() -> None:
    # A fork of the tests' process must not end its servers.
    if os.getpid() == _opener:
        for server in list(_open):
            server.close()
