"""FerretDB, which speaks MongoDB's protocol and keeps its data in SQLite; built once from source, and kept."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.servers.process import DatabaseServer, ServerMissing

_SOURCES = Path(__file__).parent / "ferretdb"
_LEAST_GO = (1, 22)
_BUILD_SECONDS = 900.0


class FerretDB(DatabaseServer):
    """One server; each database is a file of its own."""

    title = "FerretDB"

    def __init__(self) -> None:
        self._binary = binary()
        super().__init__()
        self.data = self.folder / "data"
        self.data.mkdir()

    @property
    def url(self) -> str:
        return f"mongodb://127.0.0.1:{self.port}/memsvc"

    def command(self) -> Sequence[str]:
        return [str(self._binary), "-listen", f"127.0.0.1:{self.port}", "-dir", str(self.data)]

    def answers(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1.0).close()
        except OSError:
            return False
        return True


def binary() -> Path:
    """Return the server's program; the first time it is built, which takes a minute or two. Raises ServerMissing."""
    built = cached_binary()
    if not built.exists():
        built.parent.mkdir(parents=True, exist_ok=True)
        with built.with_suffix(".lock").open("w") as lock:
            # Two runs of the tests at once build it once.
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not built.exists():
                _build(built)
    return built


def cached_binary() -> Path:
    """Return where the program is once it is built."""
    sources = [_SOURCES / "go.mod", *sorted(_SOURCES.glob("*.go"))]
    digest = hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()[:16]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "memsvc" / "tests"
    return cache / f"ferretdb-{digest}"


def _build(built: Path) -> None:
    go = go_command("FerretDB")
    with tempfile.TemporaryDirectory(dir=built.parent) as folder:
        part = Path(folder) / "ferretdb"
        result = subprocess.run(
            [go, "build", "-trimpath", "-ldflags=-s -w", "-o", str(part), "."],
            cwd=_SOURCES,
            env={**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly"},
            capture_output=True,
            text=True,
            timeout=_BUILD_SECONDS,
            check=False,
        )
        if result.returncode:
            raise ServerMissing(f"FerretDB: it cannot be built: {result.stderr.strip()[-500:]}")
        part.rename(built)


def go_command(title: str) -> str:
    """Return the Go to build something with. Raises ServerMissing that names it."""
    go = shutil.which("go") or shutil.which("/usr/local/go/bin/go")
    if go is not None:
        version = subprocess.run([go, "env", "GOVERSION"], capture_output=True, text=True, check=False).stdout
        if (found := re.match(r"go(\d+)\.(\d+)", version)) and tuple(map(int, found.groups())) >= _LEAST_GO:
            return go
    raise ServerMissing("{}: needs Go {}.{} or newer to be built".format(title, *_LEAST_GO))
