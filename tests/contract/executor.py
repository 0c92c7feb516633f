"""A program that does, with one language's client, what it is told line by line."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.servers.process import ends_with_its_parent

CLIENTS = Path(__file__).parents[2] / "clients"
ANSWER_SECONDS = 400.0
"""Longer than any step of a case takes, and than a stream looks for its server."""
_LINE_BYTES = 64 * 1024 * 1024
_LOG_TAIL_BYTES = 4_000


class Unsupported(Exception):
    """The client does not offer that."""


class ExecutorFailed(Exception):
    """The program ended or did not answer; the message has the end of what it wrote to its log."""


def languages() -> list[str]:
    """Return the languages that there is an executor for, Python first."""
    return ["python", *sorted(each.parent.name for each in CLIENTS.glob("*/contract-executor"))]


def command(language: str) -> Sequence[str]:
    """Return what starts a language's executor."""
    if language == "python":
        return [sys.executable, "-m", "tests.contract.python_executor"]
    return [str(CLIENTS / language / "contract-executor")]


class Executor:
    """One running executor: lines go in, their answers come out in the same order."""

    def __init__(self, language: str, log: Path) -> None:
        self._language = language
        self._log = log
        self._process: asyncio.subprocess.Process | None = None
        self._id = 0

    async def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *ends_with_its_parent(),
                *command(self._language),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                cwd=CLIENTS.parent,
                limit=_LINE_BYTES,
            )

    async def stop(self) -> None:
        """Let it end, as it does when its input ends."""
        if self._process is None:
            return
        process, self._process = self._process, None
        assert process.stdin
        process.stdin.close()
        try:
            async with asyncio.timeout(10):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
            raise ExecutorFailed(f"{self._language}: it does not end when its input does") from None

    async def abandon(self) -> None:
        """End it at once."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()
            self._process = None

    async def send(self, line: Mapping[str, Any]) -> int:
        """Send a line, and return its number."""
        assert self._process
        assert self._process.stdin
        self._id += 1
        self._process.stdin.write(json.dumps({"id": self._id, **line}).encode() + b"\n")
        with contextlib.suppress(ConnectionError):
            await self._process.stdin.drain()
        return self._id

    async def answer(self, number: int) -> dict[str, Any]:
        """Return the answer to the line of this number. Raises Unsupported, ExecutorFailed."""
        assert self._process
        assert self._process.stdout
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                line = await self._process.stdout.readline()
        except TimeoutError:
            raise self._failed(f"no answer within {ANSWER_SECONDS:g} s") from None
        try:
            answer: dict[str, Any] = json.loads(line)
        except ValueError:
            raise self._failed(f"no line of JSON but {line[:200]!r}") from None
        if answer.get("id") != number:
            raise self._failed(f"the answer to {answer.get('id')} instead of {number}")
        if "unsupported" in answer:
            raise Unsupported(answer["unsupported"])
        return answer

    async def ask(self, line: Mapping[str, Any]) -> dict[str, Any]:
        """Send a line and return its answer."""
        return await self.answer(await self.send(line))

    def _failed(self, what: str) -> ExecutorFailed:
        tail = self._log.read_bytes()[-_LOG_TAIL_BYTES:].decode(errors="replace")
        return ExecutorFailed(f"{self._language}: {what}\n{tail}")
