"""Programs written in Go that tests run: each is built once, and kept."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.servers.process import ServerMissing

_LEAST_GO = (1, 22)
_BUILD_SECONDS = 900.0


def go_tool(package: str, version: str, seconds: float = _BUILD_SECONDS) -> Path:
    """Return the program that `go install PACKAGE@VERSION` builds. Raises ServerMissing."""
    name = package.rpartition("/")[2]
    folder = _cache() / f"{name}-{version}"
    command = ["install", "-trimpath", "-ldflags=-s -w", f"{package}@{version}"]
    return _built(name, folder / name, folder, command, {"GOBIN": str(folder), "GOFLAGS": "-mod=mod"}, seconds)


def go_program(title: str, sources: Path, flags: str = "-s -w", seconds: float = _BUILD_SECONDS) -> Path:
    """Return the program that the module in a folder builds. Raises ServerMissing."""
    built = cached_program(title, sources)
    command = ["build", "-trimpath", f"-ldflags={flags}", "-o", str(built), "."]
    return _built(title, built, sources, command, {"GOFLAGS": "-mod=readonly"}, seconds)


def cached_program(title: str, sources: Path) -> Path:
    """Return where such a program is once it is built."""
    texts = [sources / "go.mod", *sorted(sources.glob("*.go"))]
    digest = hashlib.sha256(b"".join(text.read_bytes() for text in texts)).hexdigest()[:16]
    return _cache() / f"{title.lower()}-{digest}"


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "memsvc" / "tests"


def _built(
    title: str, built: Path, where: Path, command: Sequence[str], environment: Mapping[str, str], seconds: float
) -> Path:
    if built.exists():
        return built
    go = _go_command(title)
    built.parent.mkdir(parents=True, exist_ok=True)
    with (built.parent / f"{built.name}.lock").open("w") as lock:
        # Two runs of the tests at once build it once.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not built.exists():
            _build(title, built, where, [go, *command], environment, seconds)
    return built


def _build(
    title: str, built: Path, where: Path, command: Sequence[str], environment: Mapping[str, str], seconds: float
) -> None:
    # In a folder of its own, and moved when it is whole: a build may be killed.
    with tempfile.TemporaryDirectory(dir=built.parent) as folder:
        part = Path(folder) / built.name
        changed = {name: folder if name == "GOBIN" else value for name, value in environment.items()}
        result = subprocess.run(
            [str(part) if word == str(built) else word for word in command],
            cwd=where,
            env={**os.environ, "CGO_ENABLED": "0", **changed},
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        if result.returncode:
            raise ServerMissing(f"{title}: it cannot be built: {result.stderr.strip()[-500:]}")
        part.rename(built)


def _go_command(title: str) -> str:
    """Return the Go to build something with. Raises ServerMissing that names it."""
    go = shutil.which("go") or shutil.which("/usr/local/go/bin/go")
    if go is not None:
        version = subprocess.run([go, "env", "GOVERSION"], capture_output=True, text=True, check=False).stdout
        if (found := re.match(r"go(\d+)\.(\d+)", version)) and tuple(map(int, found.groups())) >= _LEAST_GO:
            return go
    raise ServerMissing("{}: needs Go {}.{} or newer to be built".format(title, *_LEAST_GO))
