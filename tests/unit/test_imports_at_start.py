"""What a server has loaded once it serves: nothing that only few servers, or only some calls, need."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

LATER = {
    "Stemmer",
    "click.shell_completion",
    "difflib",
    "email",
    "httptools",
    "importlib.metadata",
    "importlib.resources",
    "numpy",
    "openai",
    "tempfile",
    "tomllib",
    "unicodedata",
    "zipfile",
}


def test_a_server_starts_without_what_few_calls_need(tmp_path: Path) -> None:
    program = (
        "import sys, memsvc.cli.serve, memsvc.server, memsvc.extraction.rules, memsvc.search.embedders.static\n"
        "from memsvc.storage.registry import connect, shown\n"
        f"url = 'sqlite:///{tmp_path}/memory.db'\n"
        "shown(url), connect(url)\n"
        "print(*sys.modules)"
    )
    loaded = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout.split()
    assert "memsvc_drivers.sqlite.driver" in loaded
    assert LATER.isdisjoint(loaded)
