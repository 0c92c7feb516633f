"""A run ends at once where a file cannot be collected, however many workers there are."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.timeout(120)
def test_a_file_that_cannot_be_collected_ends_the_run_and_is_named(tmp_path: Path) -> None:
    (tmp_path / "test_broken.py").write_text("import a_module_that_is_not_there")
    (tmp_path / "test_sound.py").write_text("def test_passes(): pass")
    how = ["-p", "tests.collecting", "-p", "no:cacheprovider", "-c", f"{ROOT}/pyproject.toml", f"--rootdir={tmp_path}"]
    run = subprocess.run(
        [sys.executable, "-m", "pytest", *how, "-n", "1", str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "200"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert run.returncode == pytest.ExitCode.INTERRUPTED, run.stdout
    assert "cannot be collected: test_broken.py" in run.stdout
    assert "a_module_that_is_not_there" in run.stdout
    assert "1 passed" not in run.stdout
