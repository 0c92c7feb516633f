"""`memsvc export` and `memsvc import`: files and pipes, cut off anywhere, damaged on the way."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from memsvc_client import AsyncMemoryClient
from tests.torture.process import Installation, Server

SETTINGS = {"engine": "rules", "embedder": "none"}


async def memsvc(*arguments: str, given: str = "") -> tuple[int, str, str]:
    """Run a command; return its exit code, and what it wrote to stdout and stderr."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "memsvc", *arguments),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "COLUMNS": "300"},
    )
    output, errors = await process.communicate(given.encode())
    assert process.returncode is not None
    assert "Traceback" not in errors.decode()
    return process.returncode, output.decode(), errors.decode()


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    async with Installation(tmp_path, f"sqlite:///{tmp_path}/memory.db", SETTINGS).serving() as server:
        yield server


async def filled(server: Server) -> None:
    async with AsyncMemoryClient(server.target) as client:
        for name, count in (("ben", 3), ("sarah", 1_200)):
            notes = [{"memory_id": f"{name}-{number}", "text": f"Note {number} ü"} for number in range(count)]
            await client.user(name).import_records([{"memory": note} for note in notes])
            await client.user(name).append_run("s1", [("user", "I ski.")], learning_mode="off")


def shown(line: str) -> Any:
    record = json.loads(line)
    record.get("memory", {}).pop("etag", None)
    return record


async def test_what_is_exported_is_imported_elsewhere_by_file_and_by_pipe(server: Server, tmp_path: Path) -> None:
    await filled(server)
    file = tmp_path / "users.jsonl"
    code, _, said = await memsvc("export", "--all", "-o", str(file), "--target", server.target)
    _, piped, _ = await memsvc("export", "ben", "sarah", "--target", server.target)
    lines = file.read_text().splitlines()

    assert (code, said.splitlines()[-1]) == (0, "2 users, 1,205 records exported")
    assert piped.splitlines() == lines
    assert not (tmp_path / "users.jsonl.progress").exists()
    (tmp_path / "o").mkdir()
    async with Installation(tmp_path / "o", f"sqlite:///{tmp_path}/other.db", SETTINGS).serving() as other:
        code, _, said = await memsvc("import", str(file), "--target", other.target)
        _, again, _ = await memsvc("export", "--all", "--target", other.target)
        skipping = await memsvc("import", "--mode", "skip", "--target", other.target, given=piped)
        failing = await memsvc("import", "--target", other.target, given=piped)
        renamed = await memsvc("import", "--user", "eve", "--target", other.target, given="\n".join(lines[:3]))

    assert (code, said.splitlines()[-1]) == (0, "1,205 created, 0 skipped, 0 overwritten, 0 refused")
    assert list(map(shown, again.splitlines())) == list(map(shown, lines))
    assert skipping[2].splitlines()[-1] == "0 created, 1,205 skipped, 0 overwritten, 0 refused"
    assert (failing[0], "line 4: run.run_id: is taken" in failing[2]) == (1, True)
    assert renamed[2].splitlines()[-1].startswith("3 created")


DAMAGES = [
    ("{", "is no JSON"),
    ('{"user_id": "a", "memory": {"text": "cut o', "is no JSON"),
    ("[]", "must be a JSON object"),
    ('"a"', "must be a JSON object"),
    ('{"memory": {"text": "a"}}', "must have a user_id"),
    ('{"user_id": 7, "memory": {"text": "a"}}', "must have a user_id"),
    ('{"user_id": "a"}', "must have a memory or a run"),
    ('{"user_id": "a", "memory": {"texts": "a"}}', "is no record"),
    ('{"user_id": "a", "memory": {"number": "x"}}', "is no record"),
    ('{"user_id": "a", "run": {"index": {}}}', "is no record"),
    ("\x00\x01", "is no JSON"),
]


@pytest.fixture
async def damaged_file(tmp_path: Path) -> Path:
    whole = json.dumps({"user_id": "ben", "memory": {"text": "Whole"}})
    lines = [whole, *(damaged for damaged, _ in DAMAGES), "", whole]
    file = tmp_path / "damaged.jsonl"
    file.write_text("\n".join(lines) + "\n")
    return file


async def test_damaged_lines_are_named_and_nothing_is_imported(server: Server, damaged_file: Path) -> None:
    code, _, said = await memsvc("import", str(damaged_file), "--target", server.target)
    async with AsyncMemoryClient(server.target) as client:
        assert [user async for user in client.users()] == []

    assert code == 1
    assert f"{len(DAMAGES)} damaged lines: nothing was imported" in said
    for number, (_, why) in enumerate(DAMAGES, start=2):
        assert f"line {number}: {why}" in said


async def test_damaged_and_refused_lines_may_be_skipped(server: Server, damaged_file: Path) -> None:
    with damaged_file.open("a") as file:
        file.write(json.dumps({"user_id": "ben", "memory": {"text": ""}}) + "\n")
    refusing = await memsvc("import", "--target", server.target, given=damaged_file.read_text().splitlines()[-1])
    code, _, said = await memsvc("import", str(damaged_file), "--skip-damaged", "--target", server.target)

    assert (refusing[0], "line 1: memory.text: must not be empty" in refusing[2]) == (1, True)
    assert f"line {len(DAMAGES) + 4}: memory.text: must not be empty" in said
    assert (code, said.splitlines()[-1]) == (1, f"2 created, 0 skipped, 0 overwritten, {len(DAMAGES) + 1} refused")


async def test_an_import_that_is_killed_goes_on_and_imports_nothing_twice(server: Server, tmp_path: Path) -> None:
    file = tmp_path / "notes.jsonl"
    lines = [{"user_id": "ben", "memory": {"text": f"Note {number}"}} for number in range(4_000)]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    progress = tmp_path / "notes.jsonl.progress"
    kills = 0
    while True:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "memsvc", "import", str(file), "--target", server.target),
            stderr=asyncio.subprocess.DEVNULL,
        )
        before = progress.read_text() if progress.exists() else ""
        while process.returncode is None and (not progress.exists() or progress.read_text() == before or kills >= 3):
            try:
                await asyncio.wait_for(process.wait(), 0.01)
            except TimeoutError:
                continue
        if process.returncode is None:
            process.send_signal(signal.SIGKILL)
            kills += 1
        if await process.wait() == 0:
            break
    async with AsyncMemoryClient(server.target) as client:
        texts = [memory.memory async for memory in client.user("ben").memories.list()]

    assert kills == 3
    assert sorted(texts) == sorted(f"Note {number}" for number in range(4_000))
    assert not progress.exists()


async def test_an_export_that_is_killed_goes_on_where_it_was(server: Server, tmp_path: Path) -> None:
    await filled(server)
    _, whole, _ = await memsvc("export", "--all", "--target", server.target)
    file, progress = tmp_path / "users.jsonl", tmp_path / "users.jsonl.progress"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "memsvc", "export", "--all", "-o", str(file), "--target", server.target),
        stderr=asyncio.subprocess.DEVNULL,
    )
    while not progress.exists():
        await asyncio.sleep(0.001)
    process.kill()
    await process.wait()
    if progress.exists():
        # What was written after the last page that counts is written again.
        with file.open("a") as cut:
            cut.write('{"user_id": "sarah", "memory": {"te')
    async with AsyncMemoryClient(server.target) as client:
        # Who is at work meanwhile does not change what is exported of the one that was begun.
        reached = json.loads(progress.read_text())["reached"] if progress.exists() else {"user": "", "token": ""}
        if reached["token"]:
            await client.user(reached["user"]).memories.add("Meanwhile")
    code, _, _ = await memsvc("export", "--all", "-o", str(file), "--target", server.target)

    assert code == 0
    assert list(map(shown, file.read_text().splitlines())) == list(map(shown, whole.splitlines()))
    assert not progress.exists()


async def test_progress_of_another_command_is_not_taken_for_ones_own(server: Server, tmp_path: Path) -> None:
    file = tmp_path / "notes.jsonl"
    notes = [("ann", "Skis"), ("ben", "")]
    file.write_text("".join(json.dumps({"user_id": who, "memory": {"text": text}}) + "\n" for who, text in notes))
    first = await memsvc("import", str(file), "--target", server.target)
    other = await memsvc("import", str(file), "--mode", "skip", "--target", server.target)
    (tmp_path / "notes.jsonl.progress").write_text("{")
    damaged = await memsvc("import", str(file), "--target", server.target)

    assert (first[0], other[0], damaged[0]) == (1, 1, 1)
    assert "is of another command" in other[2]
    assert "is damaged" in damaged[2]


async def test_a_wrong_target_keeps_nobody_from_the_right_one(server: Server, tmp_path: Path) -> None:
    file, progress = tmp_path / "notes.jsonl", tmp_path / "notes.jsonl.progress"
    file.write_text(json.dumps({"user_id": "ben", "memory": {"text": "Skis", "memory_id": "m1"}}) + "\n")
    nobody = await memsvc("import", str(file), "--target", f"unix://{tmp_path}/none")
    assert (nobody[0], progress.exists()) == (1, False)

    # Cut off before anything was done there.
    kept = {"run_id": "16bf9e1c-5052-42b0-8857-3ec921d523da", "line": 0, "digest": "", "refused": 0, "counts": {}}
    progress.write_text(json.dumps({"about": {"target": "elsewhere"}, "reached": kept}))
    code, _, said = await memsvc("import", str(file), "--target", server.target)
    assert (code, said.splitlines()[-1]) == (0, "1 created, 0 skipped, 0 overwritten, 0 refused")

    refused = await memsvc("import", str(file), "--target", server.target)
    assert (refused[0], "is taken" in refused[2], progress.exists()) == (1, True, False)


async def test_who_is_not_there_is_told_in_a_line(tmp_path: Path) -> None:
    gone = await memsvc("import", str(tmp_path / "none.jsonl"), "--target", f"unix://{tmp_path}/none")
    nobody = await memsvc("export", "--target", f"unix://{tmp_path}/none")

    assert (gone[0], "No such file" in gone[2]) == (1, True)
    assert (nobody[0], "name users, or --all" in nobody[2]) == (2, True)
