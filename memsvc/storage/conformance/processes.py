"""Runs workers: processes of their own on the store under test."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from memsvc.storage.conformance.bench import Place


class Process:
    """A worker that is running; see `worker` for its commands."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def tell(self, **command: object) -> None:
        """Send a command."""
        assert self._process.stdin
        self._process.stdin.write(json.dumps(command).encode() + b"\n")
        await self._process.stdin.drain()

    async def answer(self) -> dict[str, Any]:
        """Return the next answer. Raises EOFError when the worker ended before it gave one."""
        assert self._process.stdout
        line = await self._process.stdout.readline()
        if not line.endswith(b"\n"):
            raise EOFError("the worker ended")
        answer: dict[str, Any] = json.loads(line)
        return answer

    async def ask(self, **command: object) -> dict[str, Any]:
        """Send a command and return its answer."""
        await self.tell(**command)
        return await self.answer()

    async def kill(self) -> list[dict[str, Any]]:
        """End the worker at once, SIGKILL, and return what it had answered by then."""
        self._process.kill()
        answers = []
        try:
            while True:
                answers.append(await self.answer())
        except EOFError:
            return answers


@asynccontextmanager
async def started(place: Place, *, clock_offset_seconds: int = 0) -> AsyncIterator[Process]:
    """Start a worker and wait until it is ready, its driver not yet open; on exit it ends."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "memsvc.storage.conformance.worker"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        worker = Process(process)
        await worker.ask(url=place.url, options=dict(place.options), clock_offset_seconds=clock_offset_seconds)
        yield worker
        assert process.stdin
        process.stdin.close()
        await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
