"""Ctrl-C ends a command at once, without a traceback, with an exit code of its own, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest


@pytest.mark.parametrize(
    "arguments",
    [
        ["retry", "--all", "--target={place}"],
        ["export", "sarah", "--output=out", "--target={place}"],
        ["import", "notes.jsonl", "--target={place}"],
        ["doctor", "--storage-url=redis://{place}/0"],
    ],
    ids=lambda arguments: str(arguments[0]),
)
async def test_a_command_that_waits_for_a_server_is_interrupted(arguments: Sequence[str], tmp_path: Path) -> None:
    (tmp_path / "notes.jsonl").write_text('{"user_id": "ben", "memory": {"text": "Skis"}}\n')
    is_there, over = asyncio.Event(), asyncio.Event()

    async def never_answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        is_there.set()
        await over.wait()
        writer.close()

    server = await asyncio.start_server(never_answer, "127.0.0.1", 0)
    place = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "memsvc", *(each.format(place=place) for each in arguments)),
        cwd=tmp_path,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    await is_there.wait()
    process.send_signal(signal.SIGINT)
    _, errors = await process.communicate()
    over.set()
    server.close()

    assert process.returncode == 130, errors
    assert errors.decode().strip().startswith("Interrupted")
    assert "Traceback" not in errors.decode()
    assert os.listdir(tmp_path) == ["notes.jsonl"]
