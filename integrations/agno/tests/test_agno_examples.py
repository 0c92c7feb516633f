"""agno's programs of memory do with memsvc what they do without, changed in at most five lines each."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[3] / "examples" / "agno"
CHANGED_LINES = 5


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.stem)
def test_an_example_does_what_it_claims(path: Path, run_example: Callable[[Path], str]) -> None:
    run_example(path)


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.stem)
def test_few_lines_of_an_example_are_ours(path: Path) -> None:
    lines = path.read_text("utf-8").splitlines()
    assert sum("# memsvc" in line for line in lines) <= CHANGED_LINES
    assert all("# memsvc" in line for line in lines if "memsvc" in line and not line.startswith('"""'))
