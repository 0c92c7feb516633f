"""Programs written in Go that tests run: each version is built once, and kept."""

from __future__ import annotations

import fcntl
import os
import subprocess
from pathlib import Path

from tests.servers.ferretdb import go_command
from tests.servers.process import ServerMissing

_BUILD_SECONDS = 900.0


def go_tool(package: str, version: str) -> Path:
    """Return the program that `go install PACKAGE@VERSION` builds. Raises ServerMissing."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "memsvc" / "tests"
    folder = cache / f"{package.rpartition('/')[2]}-{version}"
    built = folder / package.rpartition("/")[2]
    if not built.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with folder.with_suffix(".lock").open("w") as lock:
            # Two runs of the tests at once build it once.
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not built.exists():
                _build(f"{package}@{version}", folder)
    return built


def _build(package: str, folder: Path) -> None:
    result = subprocess.run(
        [go_command(package), "install", "-trimpath", package],
        env={**os.environ, "GOBIN": str(folder), "CGO_ENABLED": "0", "GOFLAGS": "-mod=mod"},
        capture_output=True,
        text=True,
        timeout=_BUILD_SECONDS,
        check=False,
    )
    if result.returncode:
        raise ServerMissing(f"{package}: it cannot be built: {result.stderr.strip()[-500:]}")
