"""`memsvc migrate`, `memsvc doctor`, `memsvc drivers` and what `memsvc serve` says of a schema."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from memsvc.cli.main import cli
from memsvc.storage.conformance import Place


async def memsvc(*arguments: str) -> tuple[int, str]:
    """Run a command; return its exit code and what it printed."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "memsvc", *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, "COLUMNS": "200"},
    )
    output, _ = await process.communicate()
    assert process.returncode is not None
    text = output.decode()
    assert "Traceback" not in text
    return process.returncode, text


def storage(place: Place) -> list[str]:
    options = [f"--storage-options={name}={value}" for name, value in place.options.items()]
    return [f"--storage-url={place.url}", *options]


DATABASES = [
    "sqlite",
    *(pytest.param(name, marks=getattr(pytest.mark, name)) for name in ("postgresql", "redis", "mongodb")),
]
on_each_database = pytest.mark.parametrize("store_url", DATABASES, indirect=True)


@pytest.fixture
def empty(fresh_store: Place) -> Place:
    """A database in which there is nothing."""
    return fresh_store


@on_each_database
async def test_a_database_is_looked_at_migrated_and_looked_at_again(empty: Place) -> None:
    code, output = await memsvc("doctor", *storage(empty))
    assert code == 0, output
    assert "holds nothing yet" in output
    code, output = await memsvc("migrate", "--check", *storage(empty))
    assert code == 1, output
    steps = re.findall(r"would apply: (.+)", output)
    assert steps
    code, output = await memsvc("migrate", *storage(empty))
    assert code == 0, output
    assert re.findall(r"applied: (.+)", output) == steps
    for flags in ((), ("--check",)):
        code, output = await memsvc("migrate", *flags, *storage(empty))
        assert code == 0, output
        assert "nothing to do" in output
    code, output = await memsvc("doctor", *storage(empty))
    assert code == 0, output
    assert re.search(r"ping [\d.]+ ms, tips [\d.]+ ms", output)
    for subject in ("durable", "failover", "shared", "hints", "quota"):
        assert re.search(rf"^\w+ +{subject}: .+", output, re.MULTILINE), output


@on_each_database
async def test_racing_migrate_commands_apply_each_step_once(empty: Place) -> None:
    ended = await asyncio.gather(*(memsvc("migrate", *storage(empty)) for _ in range(3)))
    assert [code for code, _ in ended] == [0] * 3, ended
    applied = [step for _, output in ended for step in re.findall(r"^applied: (.+)", output, re.MULTILINE)]
    assert applied
    assert len(set(applied)) == len(applied)


@on_each_database
async def test_a_newer_schema_is_said_by_every_command(empty: Place) -> None:
    await empty.connect().migrate()
    await empty.bench().make_schema_newer(empty)
    for arguments, expected in (
        (["migrate"], 1),
        (["migrate", "--check"], 2),
        (["serve", "--listen=127.0.0.1:0"], 1),
        (["doctor"], 1),
    ):
        code, output = await memsvc(*arguments, *storage(empty))
        assert code == expected, output
        assert "run a newer memsvc" in output


async def test_doctor_warns_of_a_quota_that_the_cache_cannot_hold() -> None:
    _, output = await memsvc("doctor", "--storage-url=memory://", "--memory-quota=1000000")
    assert "warn  quota: a user with all of 1,000,000 memories" in output


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://bob:hunter2@127.0.0.1:1/memsvc",
        "redis://:hunter2@127.0.0.1:1/0",
        "mongodb://bob:hunter2@127.0.0.1:1/memsvc?password=hunter2",
        "nonsense://bob:hunter2@127.0.0.1:1/memsvc",
    ],
)
def test_no_command_prints_a_password(url: str, tmp_path: Path) -> None:
    somewhere = f"sqlite:///{tmp_path}/memory.db"
    for arguments in (
        ["doctor", f"--storage-url={url}"],
        ["migrate", f"--storage-url={url}"],
        ["copy", f"--from={url}", f"--to={somewhere}"],
        ["copy", f"--from={somewhere}", f"--to={url}"],
    ):
        result = CliRunner().invoke(cli, arguments)
        assert result.exit_code != 0, result.output
        assert "hunter2" not in f"{result.output} {result.exception}"


async def test_drivers_lists_who_is_there_and_what_is_missing() -> None:
    code, output = await memsvc("drivers")
    assert code == 0
    for scheme, extra in (
        ("memory", "server"),
        ("sqlite", "server"),
        ("postgresql", "postgres"),
        ("redis", "redis"),
        ("rediss", "redis"),
        ("mongodb", "mongo"),
        (r"mongodb\+srv", "mongo"),
    ):
        assert re.search(rf"{scheme}://.+memsvc\[{extra}\]", output), output


@pytest.mark.parametrize("scheme", ["sqlite", "postgresql", "redis", "mongodb"])
async def test_drivers_explains_every_option_of_one(scheme: str) -> None:
    code, output = await memsvc("drivers", scheme)
    assert code == 0, output
    options = re.findall(r"^│ (\w+) +│ (.+?) +│$", output, re.MULTILINE)
    assert len(options) > 5
    for name, said in options:
        assert len(said) > 10, name


async def test_drivers_names_the_schemes_when_it_does_not_know_one() -> None:
    code, output = await memsvc("drivers", "oracle")
    assert code == 2
    assert "sqlite" in output
