"""What was meant otherwise is said in a line that names it, fails with an exit code, and leaves nothing behind."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner

from memsvc.cli.main import cli
from memsvc.errors import Error
from memsvc_client import MemoryServiceError


def told(*arguments: str) -> tuple[int, str]:
    """Run a command in a folder of its own; return its exit code, and what people read."""
    if arguments[0] == "serve":
        # It takes over the log and the signals of its process.
        command = [sys.executable, "-m", "memsvc", *arguments]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=50, check=False)
        assert "Traceback" not in ended.stderr
        return ended.returncode, ended.stderr
    result = CliRunner().invoke(cli, arguments)
    if isinstance(result.exception, (Error, MemoryServiceError)):
        # As `memsvc.cli.main.run` says it.
        return 1, str(result.exception)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.output


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the commands run: a folder, a file that is no text, one to import, and nothing else."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "text").write_text('{"user_id": "ben", "memory": {"text": "Skis"}}\n')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "300")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return tmp_path


NOBODY = "--target=unix:///nowhere/memsvc.sock"
IN_RAM = "--storage-url=memory://"

WRONG = [
    (["demo", "--path=folder"], 2, "path is a folder: name a file in it"),
    (["chat", "--path=folder"], 2, "path is a folder: name a file in it"),
    (["mcp", "--user=sarah", "--path=folder"], 2, "path is a folder: name a file in it"),
    (["retry", "--all", "--target="], 2, "target is empty"),
    (["export", "sarah", "--output=out", NOBODY], 1, "UNAVAILABLE"),
    (["export", "sarah", "--to=markdown", "--output=out", NOBODY], 1, "UNAVAILABLE"),
    (["migrate", "--storage-url=sqlite:///folder"], 1, "it is a folder: name a file in it"),
    (["migrate", "--storage-url=sqlite:///folder", "--check"], 2, "it is a folder: name a file in it"),
    (["migrate", IN_RAM, "--storage-options=sync=on"], 1, "storage_options.sync: no such option"),
    (["migrate", IN_RAM, "--config=binary"], 1, "binary is no text in UTF-8"),
    (["serve", IN_RAM, "--listen=unix:folder"], 1, "folder exists and is no socket"),
    (["serve", IN_RAM, "--listen=unix:binary"], 1, "binary exists and is no socket"),
    (["inject", "--setting=engine"], 2, "'engine' is not written as NAME=VALUE"),
    (["token", "create", "--namespace=a", "--rights=red"], 2, "must be of read, write, admin, not 'red'"),
    (["token", "create", "--namespace=", "--rights=read"], 2, "'--namespace': must not be empty"),
    # As with a variable of the shell that is not set: neither all users, nor for ever, nor somebody else.
    (["mcp", "--user=", NOBODY], 2, "'--user': must not be empty"),
    (["import", "binary", "--user=", NOBODY], 2, "'--user': must not be empty"),
    (["import", "binary", "--namespace=", NOBODY], 2, "'--namespace': must not be empty"),
    (["export", "sarah", "--namespace=", NOBODY], 2, "'--namespace': must not be empty"),
    (["retry", "--all", "--namespace=", NOBODY], 2, "'--namespace': must not be empty"),
    (
        ["mcp", "--listen=127.0.0.1:0", "--tokens-file=", NOBODY],
        2,
        "'--tokens-file' (env var: 'MEMSVC_MCP_TOKENS_FILE'): must not",
    ),
    (["serve", IN_RAM, "--tokens-file="], 1, "tokens_file: must not be empty"),
    (["doctor", "--storage-url="], 1, "storage_url: must not be empty"),
    (["migrate", IN_RAM, "--config="], 1, "config: must not be empty"),
    (["import", "text", "--progress=folder", NOBODY], 1, "folder: Is a directory"),
    (["token", "create", "--namespace=a", "--rights=read", "--users="], 2, "'--users': must not be empty"),
    (["token", "create", "--namespace=a", "--rights=read", "--expires-in="], 2, "--expires-in is written as 90d"),
]


@pytest.mark.parametrize(("arguments", "code", "said"), WRONG, ids=[" ".join(each[0][:3]) for each in WRONG])
def test_wrong_input_is_said_in_words(arguments: Sequence[str], code: int, said: str, folder: Path) -> None:
    before = sorted(os.listdir(folder))
    found, output = told(*arguments)
    assert said in output
    assert found == code
    assert "Errno" not in output
    assert sorted(os.listdir(folder)) == before


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--redact=foo"], "serving: redact: has no kind foo"),
        (["--tokens-file=folder"], "serving: tokens_file: cannot read folder: Is a directory"),
        (["--limits-file=binary"], "serving: limits_file: is no text in UTF-8"),
        (["--listen=nowhere"], "serving: listen: 'nowhere' must be unix:///path or host:port"),
        (["--listen=0.0.0.0:7"], "serving: listen: '0.0.0.0:7' can be reached from other machines and lacks TLS"),
        (["--health-listen=7"], "serving: health_listen: '7' must be"),
        (["--http-listen=7"], "serving: http_listen: '7' must be"),
        (["--http-listen=127.0.0.1:0", "--http-origins=console"], "serving: http_origins: 'console' is no origin"),
        (["--storage-options=sync=on"], "database: memory://...: storage_options.sync: no such option"),
        (["--rules-patterns=folder"], "engine: rules_patterns: cannot read folder: Is a directory"),
    ],
)
def test_doctor_finds_what_a_server_would_refuse(arguments: Sequence[str], said: str) -> None:
    code, output = told("doctor", IN_RAM, "--embedder=none", *arguments)
    assert code == 1
    assert f"FAIL  {said}" in output


def test_doctor_names_the_lines_that_let_nobody_in(folder: Path) -> None:
    (folder / "tokens").write_text("no sense\n")
    code, output = told("doctor", IN_RAM, "--embedder=none", "--tokens-file=tokens")
    assert code == 0
    assert "warn  tokens_file: line 1 is ignored: line: JSON is malformed" in output
    assert "ok    serving: on" in output


@pytest.mark.parametrize("place", ["folder", "nowhere/ready"])
def test_a_ready_file_that_cannot_be_written_ends_the_start(place: str, folder: Path) -> None:
    before = sorted(os.listdir(folder))
    code, output = told("serve", IN_RAM, "--listen=127.0.0.1:0", "--embedder=none", f"--ready-file={place}")
    assert code == 1
    assert f"ready_file: cannot write {place}: " in output
    assert sorted(os.listdir(folder)) == before


@pytest.mark.parametrize(
    ("redirected", "arguments", "code", "said"),
    [
        (">/dev/full", ["drivers"], 1, "cannot write what is printed: No space left on device"),
        (">/dev/full", ["--help"], 1, "cannot write what is printed: No space left on device"),
        (">/dev/full", ["migrate", IN_RAM], 1, "cannot write what is printed: No space left on device"),
        (">&-", ["drivers"], 0, ""),
        ("<&-", ["import", NOBODY], 1, "UNAVAILABLE"),
        ("<&-", ["inject"], 0, ""),
        ("<&-", ["mcp", "--user=sarah", NOBODY], 0, ""),
        ("<&- >&- 2>&-", ["migrate", "--storage-url=sqlite:///new/memory.db"], 0, ""),
    ],
    ids=lambda each: " ".join(each) if isinstance(each, list) else None,
)
def test_streams_that_are_full_or_closed_are_no_traceback(
    redirected: str, arguments: Sequence[str], code: int, said: str
) -> None:
    command = ["sh", "-c", f'exec "$0" -m memsvc "$@" {redirected}', sys.executable, *arguments]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=50, check=False)
    assert ended.returncode == code, ended.stderr
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr
