from __future__ import annotations

from pathlib import Path

import pytest

from memsvc.config import Config
from memsvc.errors import InvalidArgument
from memsvc.extraction.engines import build_engine


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (None, "cannot read .*mine.toml: No such file"),
        ("pattern = [", "mine.toml: "),
        ('[[pattern]]\nname = "a"\nsay = ["i [x"]\nfacts = []', "mine.toml: pattern 'a': "),
    ],
)
def test_a_pattern_file_that_cannot_be_used_is_a_wrong_setting(
    tmp_path: Path, text: str | None, complaint: str
) -> None:
    file = tmp_path / "mine.toml"
    if text is not None:
        file.write_text(text)
    with pytest.raises(InvalidArgument, match=f"rules_patterns: {complaint}") as caught:
        build_engine(Config(engine="rules", rules_patterns=str(file)))
    assert caught.value.fields[0].field == "rules_patterns"
