"""`memsvc demo`: what it says where its picture cannot be written. What it plays is for the acceptance tests."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from memsvc.cli import demo


@pytest.mark.parametrize(
    ("place", "because"),
    [("none/demo.svg", "No such file or directory"), ("", "Is a directory"), ("file/demo.svg", "Not a directory")],
)
def test_a_picture_that_cannot_be_written_is_said_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, because: str
) -> None:
    monkeypatch.setattr(demo, "_play_all", lambda *_, **__: None)
    (tmp_path / "file").touch()
    svg = str(tmp_path / place)
    ended = CliRunner().invoke(demo.demo, ["--svg", svg])

    assert (ended.exit_code, ended.output) == (1, f"Error: {svg}: {because}\n")
