"""A server of one's own, on a SQLite file: started when it is needed, shared by all who use that file, gone after them.

Each database has a folder in a private runtime directory, with
- `users.lock`: every client holds it shared; the server exits when nobody does (`--exit-when-unlocked`);
- `start.lock`: held while looking whether a server runs, and starting one, so that two who start at once start one;
- `server.lock`: held by the server's process from birth to death (it inherits the open file), however it dies;
- `memsvc.sock`, `ready`, `server.log`: the server's socket, its sign of readiness, its output.

All locks are flock(2): they end with the process that holds them. Works on Linux and macOS.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
import weakref
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path

from memsvc_client.channel import ServeOption
from memsvc_client.errors import SidecarFailed, still_starting
from memsvc_client.wire import string

START_SECONDS = 30.0
"""A server that drains before may take its grace period."""
POLL_SECONDS = 0.02
MAX_SOCKET_PATH_BYTES = 103
"""The shortest limit there is (macOS); Linux has 107."""
LOG_TAIL_BYTES = 2000
COMMAND = (sys.executable, "-m", "memsvc")


class Sidecar:
    """The server of one SQLite file, as one client holds on to it. Safe to use from several threads."""

    def __init__(
        self,
        path: str | os.PathLike[str],
        options: Mapping[str, ServeOption] | None = None,
        *,
        start_seconds: float = START_SECONDS,
        runtime_dir: Path | None = None,
        command: Sequence[str] = COMMAND,
    ) -> None:
        self.database = checked_path(path)
        digest = hashlib.sha256(os.fsencode(self.database)).hexdigest()[:16]
        self.folder = (runtime_dir or _runtime_dir()) / digest
        self.socket = self.folder / "memsvc.sock"
        self.arguments = [*command, "serve", *self._flags(), *_flags_of(options or {})]
        self._start_seconds = start_seconds
        self._users_lock: weakref.finalize[..., Sidecar] | None = None
        self._closed = False
        self._under_way: Future[None] | None = None
        self._guard = threading.Lock()

    @property
    def target(self) -> str:
        return f"unix://{self.socket}"

    def ensure(self, seconds: float | None = None) -> None:
        """Return once a server takes connections; start one where none does. Raises SidecarFailed.

        After so many seconds as well: the start then goes on, for the next call.
        """
        try:
            self.start().result(seconds)
        except TimeoutError:
            raise still_starting() from None

    def start(self) -> Future[None]:
        """Do that in a thread: calls end by their own deadlines. All who ask meanwhile get the same start."""
        with self._guard:
            if self._closed:
                raise SidecarFailed("the client is closed", reason="SIDECAR_FAILED")
            if self._under_way is None or self._under_way.done():
                self._under_way = Future()
                self._under_way.set_running_or_notify_cancel()
                thread = threading.Thread(target=self._carry_out, args=(self._under_way,), name="memsvc-start")
                thread.daemon = True
                thread.start()
            return self._under_way

    def _carry_out(self, start: Future[None]) -> None:
        try:
            self._ensure()
        except BaseException as failure:
            start.set_exception(failure)
        else:
            start.set_result(None)

    def _ensure(self) -> None:
        deadline = time.monotonic() + self._start_seconds
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _locked(self.folder / "start.lock", deadline):
            self._hold_users_lock(deadline)
            while not self._serving():
                if (server_lock := _try_lock(self.folder / "server.lock")) is not None:
                    try:
                        self._start(server_lock, deadline)
                    finally:
                        os.close(server_lock)
                    return
                # A server is there that takes no connections: it drains. Its successor waits for its end.
                _sleep_until(deadline, "the server before it does not end")

    def release(self) -> None:
        """Let go of the server. It exits when the last one does."""
        self._closed = True
        if self._users_lock is not None:
            self._users_lock()

    def _hold_users_lock(self, deadline: float) -> None:
        if self._users_lock is None:
            # A server on its way out may hold it for a moment.
            lock = _wait_for_lock(self.folder / "users.lock", fcntl.LOCK_SH, deadline)
            self._users_lock = weakref.finalize(self, os.close, lock)
            if self._closed:
                self._users_lock()

    def _serving(self) -> bool:
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(1.0)
            try:
                probe.connect(str(self.socket))
            except OSError:
                return False
            return True

    def _start(self, server_lock: int, deadline: float) -> None:
        """Start a server that inherits `server_lock`, and wait until it is ready."""
        for stale in (self.socket, self.folder / "ready"):
            stale.unlink(missing_ok=True)
        log = self.folder / "server.log"
        with log.open("wb") as output:
            process = subprocess.Popen(  # noqa: S603
                self.arguments,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                pass_fds=(server_lock,),
                start_new_session=True,
            )
        # Reaps it, whenever it ends.
        threading.Thread(target=process.wait, name="memsvc-sidecar", daemon=True).start()
        try:
            self._wait_until_ready(process, log, deadline)
        except BaseException:
            process.kill()
            raise

    def _wait_until_ready(self, process: subprocess.Popen[bytes], log: Path, deadline: float) -> None:
        while not ((self.folder / "ready").exists() and self._serving()):
            if (status := process.poll()) is not None:
                raise _start_failure(f"the server exited with status {status}", log)
            if time.monotonic() > deadline:
                raise _start_failure(f"the server was not ready after {self._start_seconds:g} s", log)
            time.sleep(POLL_SECONDS)

    def _flags(self) -> list[str]:
        return [
            "--storage-url",
            f"sqlite:///{self.database}",
            "--listen",
            self.target,
            "--ready-file",
            str(self.folder / "ready"),
            "--exit-when-unlocked",
            str(self.folder / "users.lock"),
        ]


def checked_path(path: str | os.PathLike[str]) -> Path:
    """Return the absolute path of a database's file. Raises TypeError or ValueError that says what to write instead.

    Nothing is made, and what is refused is not shown: it may be a URL with a password.
    """
    name = os.fspath(path) if isinstance(path, (str, os.PathLike)) else path
    if not isinstance(name, str):
        raise TypeError(f"path must be that of a SQLite file, not {name!r:.80}")
    string("path", name)
    if not name:
        raise ValueError('path is empty: name a file, as "memory.db", or none at all for the one in your data folder')
    if name == ":memory:" or name.startswith("file:"):
        raise ValueError(f"path must be that of a file, {EXAMPLE}: a server of its own keeps nothing in RAM alone")
    if "://" in name:
        raise ValueError(
            f"path must be that of a SQLite file, {EXAMPLE}, not a URL: for another database start "
            "`memsvc serve --storage-url ...` and give its address to the client"
        )
    if "?" in name or not name.isprintable():
        raise ValueError("path must hold no question mark, and nothing that cannot be printed")
    database = Path(name).expanduser().resolve()
    if database.is_dir() or name.endswith(("/", os.sep)):
        raise ValueError(f"path is a folder: name a file in it, {str(database / 'memory.db')!r}")
    if any(parent.exists() and not parent.is_dir() for parent in database.parents):
        raise ValueError("path goes through a file that is no folder")
    return database


EXAMPLE = 'as local("memory.db")'


def default_path() -> Path:
    """Return the file that a server keeps where no other is named: memory.db in the user's data folder."""
    home = os.environ.get("XDG_DATA_HOME", "")
    # As the XDG specification has it: a relative path is ignored.
    folder = Path(home) if home.startswith("/") else Path.home() / ".local" / "share"
    return folder / "memsvc" / "memory.db"


def _flags_of(options: Mapping[str, ServeOption]) -> Iterator[str]:
    """Name options as the command line does: `model_name="x"` is `--model-name x`, False is `--no-...`."""
    for name, value in options.items():
        flag = name.replace("_", "-")
        if isinstance(value, bool):
            yield f"--{flag}" if value else f"--no-{flag}"
        else:
            yield from (f"--{flag}", str(value))


def _runtime_dir() -> Path:
    """Return a directory of this user alone, whose name leaves room for a socket's path.

    Raises SidecarFailed where somebody else owns it: a socket below could be theirs.
    """
    user = f"memsvc-{os.getuid()}"
    below = [Path(given) / "memsvc"] if (given := os.environ.get("XDG_RUNTIME_DIR")) else []
    below += [Path(tempfile.gettempdir()) / user, Path("/tmp") / user]  # noqa: S108
    for folder in below:
        if len(os.fsencode(folder / ("x" * 16) / "memsvc.sock")) > MAX_SOCKET_PATH_BYTES:
            continue
        with contextlib.suppress(OSError):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            found = folder.lstat()
            if stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o077:
                return folder
    raise SidecarFailed(f"no private directory for the socket: tried {', '.join(map(str, below))}", "SIDECAR_FAILED")


@contextlib.contextmanager
def _locked(path: Path, deadline: float) -> Iterator[None]:
    lock = _wait_for_lock(path, fcntl.LOCK_EX, deadline)
    try:
        yield
    finally:
        os.close(lock)


def _wait_for_lock(path: Path, kind: int, deadline: float) -> int:
    while (lock := _try_lock(path, kind)) is None:
        _sleep_until(deadline, f"{path.name} stays locked")
    return lock


def _try_lock(path: Path, kind: int = fcntl.LOCK_EX) -> int | None:
    """Return a descriptor that holds the lock until it is closed; None where somebody else holds it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def _sleep_until(deadline: float, why: str) -> None:
    if time.monotonic() > deadline:
        raise SidecarFailed(f"no server for this file: {why}", reason="SIDECAR_FAILED")
    time.sleep(POLL_SECONDS)


def _start_failure(what: str, log: Path) -> SidecarFailed:
    tail = log.read_bytes()[-LOG_TAIL_BYTES:].decode(errors="replace").strip()
    hint = "; it needs more than the client: pip install 'memsvc[server]'" if "ModuleNotFoundError" in tail else ""
    return SidecarFailed(f"{what}{hint}\n{tail}", reason="SIDECAR_FAILED")
