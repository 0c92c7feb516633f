"""A host that sends what is no message is answered, by the request's id where there is one, and goes on."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

SECONDS = 60.0

LINES = {
    '{"jsonrpc": "2.0", "id": 24, "method": "tools/call", "params": {"name": "a", "arguments": {"b": "\\ud83d"}}}': (
        24,
        -32700,
    ),
    '{"jsonrpc": "2.0", "id": "x", "method": 5}': ("x", -32600),
    "{": (None, -32700),
    "[]": (None, -32600),
    "[" * 100_000: (None, -32700),
    "": None,
}


async def test_what_is_no_message_is_answered() -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "memsvc", "mcp", "--user=sarah", "--target=unix:///nowhere/memsvc.sock"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    information = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "a", "version": "1"}}
    first = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": information}
    last = {"jsonrpc": "2.0", "id": 99, "method": "ping"}
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("\n".join([json.dumps(first), *LINES, json.dumps(last), ""]).encode())
    answers: list[dict[str, Any]] = []
    async with asyncio.timeout(SECONDS):
        # A request that is not answered yet when its host is gone need not be.
        while not answers or answers[-1]["id"] != 99:
            answers.append(json.loads(await process.stdout.readline()))
    process.stdin.close()
    await process.wait()

    wanted = [each for each in LINES.values() if each is not None]
    assert [(each["id"], each["error"]["code"]) for each in answers if "error" in each] == wanted
    assert {each["id"] for each in answers if "result" in each} == {1, 99}
