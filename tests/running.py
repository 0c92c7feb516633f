"""Runs of pytest within a test, of files of its own, with what this project adds to pytest."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
_SECONDS = 100


def run_tests(folder: Path, plugin: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the tests of a folder with one plugin, under the project's settings; return what came of it."""
    how = ["-p", plugin, "-p", "no:cacheprovider", "-c", str(ROOT / "pyproject.toml"), f"--rootdir={folder}"]
    return subprocess.run(
        [sys.executable, "-m", "pytest", *how, *arguments, str(folder)],
        env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "200"},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
    )
