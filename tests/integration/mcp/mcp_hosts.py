"""Hosts of MCP for tests: the SDK's own client, at a process of `memsvc mcp`."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import httpx2
from mcp.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError
from mcp.types import CallToolResult, TextContent

from tests.servers.process import ends_with_its_parent

MODES = ["auto", "legacy"]
"""The newest form of the protocol, and that of the years before it, which begins with a handshake."""
_START_SECONDS = 60.0
_LISTENING = re.compile(rb"mcp_listening url=(\S+)")


def over_stdio(*flags: str, mode: str = "auto") -> Client:
    """Return a host that starts `memsvc mcp` with these flags."""
    command = [*ends_with_its_parent(), sys.executable, "-m", "memsvc", "mcp", *flags]
    parameters = StdioServerParameters(command=command[0], args=command[1:], env=dict(os.environ))
    return Client(stdio_client(parameters), mode=mode)


@asynccontextmanager
async def over_http(url: str, token: str = "", mode: str = "auto") -> AsyncIterator[Client]:
    """Hand out a host at a running `memsvc mcp --listen`."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with httpx2.AsyncClient(headers=headers, timeout=60) as http:
        async with Client(streamable_http_client(url, http_client=http), mode=mode) as host:
            yield host


@asynccontextmanager
async def listening(*flags: str) -> AsyncIterator[str]:
    """Run `memsvc mcp --listen` at a free port, and hand out its URL."""
    process = await asyncio.create_subprocess_exec(
        *(*ends_with_its_parent(), sys.executable, "-m", "memsvc", "mcp", "--listen", "127.0.0.1:0", *flags),
        stdin=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    said = b""
    try:
        async with asyncio.timeout(_START_SECONDS):
            while (found := _LISTENING.search(said)) is None:
                line = await process.stderr.readline()
                assert line, said.decode()
                said += line
        # Read on, so that its log never blocks it.
        draining = asyncio.create_task(process.stderr.read())
        yield found[1].decode()
        process.terminate()
        await process.wait()
        await draining
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def text_of(result: Any) -> str:
    """Return what a call answered, in words."""
    assert isinstance(result, CallToolResult)
    (content,) = result.content
    assert isinstance(content, TextContent)
    return content.text


async def said_of(host: Client, name: str, arguments: Any) -> str:
    """Return what a host is told of a call that fails, as an answer or as an error of the protocol."""
    try:
        result = await host.call_tool(name, arguments)
    except MCPError as error:
        return str(error)
    assert result.is_error
    return text_of(result)


def flags_of(target: str, user: str) -> Sequence[str]:
    return ("--target", target, "--user", user)
