"""A server with its page open to a browser, and calls of its API from beside the browser."""

from __future__ import annotations

import asyncio
import json
import socket
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.torture.process import Installation, Server

CALL_SECONDS = 60.0


@dataclass
class Site:
    """One database with one server after the other on the same address."""

    installation: Installation
    port: int
    token: str = ""
    settings: Mapping[str, object] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    server: Server | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def page(self) -> str:
        return f"{self.url}/ui/"

    async def start(self) -> None:
        flags = {"http_listen": f"127.0.0.1:{self.port}", **self.settings}
        self.server = await self.installation.launch(environment=self.environment, **flags)
        await self.server.ready()

    async def kill(self) -> None:
        if self.server is not None:
            await self.server.kill()

    async def call(self, method: str, request: Any) -> Any:
        """Call `Service/Method`; raises AssertionError with what was answered where it fails."""
        return await asyncio.to_thread(self._call, method, request)

    def _call(self, method: str, request: Any) -> Any:
        headers = {"Content-Type": "application/json"}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        asked = urllib.request.Request(f"{self.url}/memsvc.v1.{method}", json.dumps(request).encode(), headers)
        try:
            with urllib.request.urlopen(asked, timeout=CALL_SECONDS) as reply:
                return json.load(reply)
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{method}: {error.read().decode()}") from None

    async def remember(self, user_id: str, *memories: Mapping[str, Any]) -> list[Any]:
        """Write memories, in one commit for each thousand; return them as they are stored."""
        stored = []
        for start in range(0, len(memories), 1000):
            operations = [{"create": {"memory": dict(memory)}} for memory in memories[start : start + 1000]]
            request = {"scope": {"userId": user_id}, "operations": operations}
            reply = await self.call("MemoryService/BatchWriteMemories", request)
            stored += [change["after"] for change in reply["commit"]["changes"]]
        return stored

    async def memories(self, user_id: str) -> list[Any]:
        reply = await self.call("MemoryService/ListMemories", {"scope": {"userId": user_id}, "pageSize": 1000})
        return list(reply.get("memories", []))

    async def texts(self, user_id: str) -> set[str]:
        return {memory.get("text", "") for memory in await self.memories(user_id)}

    async def said(self, user_id: str, session_id: str, *messages: Mapping[str, Any], **more: Any) -> Any:
        """Store a run; a message is a role and its text, or its parts."""
        run = {"sessionId": session_id, "messages": [_message(**message) for message in messages]}
        request = {"scope": {"userId": user_id}, "run": {**run, **more.pop("run", {})}, **more}
        return await self.call("SessionService/AppendRun", request)


def _message(role: str, text: str = "", parts: Any = None, **more: Any) -> Mapping[str, Any]:
    return {"role": f"ROLE_{role}", "parts": parts or [{"text": {"text": text}}], **more}


@asynccontextmanager
async def serving_page(
    folder: Path,
    storage_url: str,
    *,
    environment: Mapping[str, str] | None = None,
    **settings: object,
) -> AsyncIterator[Site]:
    """Serve a store until the end of the block."""
    settings = {"engine": "rules", "quiet_seconds": "0.05", **settings}
    site = Site(Installation(folder, storage_url), _free_port(), settings=settings, environment=environment or {})
    site.environment = {"OPENAI_API_KEY": "", **site.environment}
    try:
        await site.start()
        yield site
    finally:
        if site.server is not None:
            await site.server.close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
