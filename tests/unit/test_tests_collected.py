"""A run ends at once where a file cannot be collected, however many workers there are."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.running import run_tests


@pytest.mark.timeout(120)
def test_a_file_that_cannot_be_collected_ends_the_run_and_is_named(tmp_path: Path) -> None:
    (tmp_path / "test_broken.py").write_text("import a_module_that_is_not_there")
    (tmp_path / "test_sound.py").write_text("def test_passes(): pass")
    run = run_tests(tmp_path, "tests.collecting", "-n", "1")
    assert run.returncode == pytest.ExitCode.INTERRUPTED, run.stdout
    assert "cannot be collected: test_broken.py" in run.stdout
    assert "a_module_that_is_not_there" in run.stdout
    assert "1 passed" not in run.stdout
