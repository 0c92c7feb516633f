"""`memsvc conformance --storage-url ...`: what it prints, and how it ends."""

from __future__ import annotations

import pytest
from click.testing import CliRunner, Result

from memsvc.cli.storage import conformance
from memsvc.errors import InvalidArgument, StorageUnavailable
from memsvc.storage.memory import MemoryDriver


def conform(*arguments: str) -> Result:
    return CliRunner().invoke(conformance, ["--only", "lifecycle.test_p", *arguments])


def test_a_store_that_passes_ends_in_zero() -> None:
    ended = conform("--storage-url", "memory://command")
    assert ended.exit_code == 0
    assert "memory: memory://command" in ended.stdout
    assert "lifecycle.test_ping_answers" in ended.stdout
    assert "1 passed, 0 skipped, 0 failed" in ended.stdout


def test_a_failure_ends_in_one_and_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    async def ping(self: MemoryDriver) -> None:
        raise StorageUnavailable("not today")

    monkeypatch.setattr(MemoryDriver, "ping", ping)
    ended = conform("--storage-url", "memory://command", "--markdown")
    assert ended.exit_code == 1
    assert ended.stdout.startswith("# memory: 0 passed, 0 skipped, 1 failed")
    assert "| lifecycle: ping answers | failed |" in ended.stdout
    assert "not today" in ended.stdout


@pytest.mark.parametrize(
    "arguments",
    [("--storage-url", "nosuch://x"), ("--storage-url", "memory://x", "--only", "no-such-test")],
    ids=["scheme", "test"],
)
def test_what_cannot_be_run_is_an_error(arguments: tuple[str, ...]) -> None:
    ended = conform(*arguments)
    assert ended.exit_code == 1
    assert isinstance(ended.exception, InvalidArgument)
