"""The API is frozen: what breaks a client that was generated from it is found, and what adds to it is not held up."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BUF = Path(sys.executable).with_name("buf")
FROZEN = ROOT / "protos" / "frozen.binpb"


def breaks(folder: Path, file: str, old: str, new: str) -> str:
    """Return what `buf breaking` says of the protos with one text replaced."""
    shutil.copy(ROOT / "buf.yaml", folder)
    shutil.copytree(ROOT / "protos", folder / "protos")
    path = folder / "protos" / "memsvc" / "v1" / file
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    command = [BUF, "breaking", "--against", FROZEN]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False).stdout


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("common.proto", "int32 input_tokens = 2;", "int64 input_tokens = 2;"),
        ("common.proto", "LAYER_POLICY = 2;", "LAYER_RULES = 2;"),
        ("common.proto", "string key_path = 4;", "string key_path = 40;"),
        ("memory.proto", "optional int64 expected_revision = 4;", "int64 expected_revision = 4;"),
        ("memory.proto", "  rpc DeleteMemory(DeleteMemoryRequest) returns (DeleteMemoryResponse);\n", ""),
        ("memory.proto", 'java_package = "dev.memsvc.v1"', 'java_package = "io.memsvc.v1"'),
        ("extraction.proto", "ExtractionFailed failed = 7;", "ExtractionFailed gone = 7;"),
        ("reason.proto", "REASON_KEY_TAKEN", "REASON_KEY_HELD"),
    ],
)
def test_what_breaks_a_client_is_found(tmp_path: Path, file: str, old: str, new: str) -> None:
    assert f"protos/memsvc/v1/{file}" in breaks(tmp_path, file, old, new)


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("common.proto", "int32 output_tokens = 4;", "int32 output_tokens = 4;\n  int32 reasoning_tokens = 5;"),
        ("common.proto", "LEARNING_MODE_OFF = 2;", "LEARNING_MODE_OFF = 2;\n  LEARNING_MODE_AT_NIGHT = 9;"),
        ("memory.proto", "    KeyAddress address = 3;", "    KeyAddress address = 3;\n    int64 number = 99;"),
        ("common.proto", "// Who the user is.", "// Who the user is, as they say."),
    ],
)
def test_what_adds_to_the_api_is_free(tmp_path: Path, file: str, old: str, new: str) -> None:
    assert breaks(tmp_path, file, old, new) == ""
