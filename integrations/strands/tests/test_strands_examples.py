"""The examples of Strands do what they claim."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

EXAMPLES = sorted(Path(__file__).parents[1].glob("example*.py"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_does_what_it_claims(path: Path, run_example: Callable[[Path], str]) -> None:
    assert run_example(path)
