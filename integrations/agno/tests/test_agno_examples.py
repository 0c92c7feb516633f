"""agno's programs of memory do with memsvc what they do without, changed in at most five lines each."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

EXAMPLES = Path(__file__).parents[3] / "examples" / "agno"
CHANGED_LINES = 5


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.stem)
def test_an_example_does_what_it_claims(path: Path, model: Any, database: Any, tmp_path: Path) -> None:
    result = subprocess.run([sys.executable, str(path)], cwd=tmp_path, env=os.environ, capture_output=True, check=False)
    assert result.returncode == 0, result.stdout.decode()[-2_000:] + result.stderr.decode()[-4_000:]


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.stem)
def test_few_lines_of_an_example_are_ours(path: Path) -> None:
    lines = path.read_text("utf-8").splitlines()
    assert sum("# memsvc" in line for line in lines) <= CHANGED_LINES
    assert all("# memsvc" in line for line in lines if "memsvc" in line and not line.startswith('"""'))
