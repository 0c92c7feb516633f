"""`memsvc ui`: the page, and what it asks relayed to a server elsewhere."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import struct
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from memsvc.testing.fake_openai import FakeOpenAI
from memsvc.testing.replies import Reply
from tests.integration.http.http_harness import messages_in
from tests.servers.process import ends_with_its_parent
from tests.torture.process import Installation

SECONDS = 60.0
NO_CONVERSATIONS = [
    b"no json",
    {"messages": 5},
    {"messages": [{"parts": 5}]},
    {"messages": [{"parts": [{"text": "x"}]}]},
]


@pytest.fixture
async def target() -> AsyncIterator[str]:
    with tempfile.TemporaryDirectory(prefix="memsvc") as folder:
        installation = Installation(Path(folder), f"sqlite:///{folder}/memsvc.db", {"engine": "rules"})
        async with installation.serving() as server:
            yield server.target


@asynccontextmanager
async def ui(target: str, environment: Mapping[str, str] | None = None) -> AsyncIterator[str]:
    """Run the command, and hand out what it prints: where the page is."""
    arguments = ("-m", "memsvc", "ui", "--target", target, "--listen", "127.0.0.1:0")
    process = await asyncio.create_subprocess_exec(
        *(*ends_with_its_parent(), sys.executable, *arguments),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        env={**os.environ, "OPENAI_API_KEY": "", **(environment or {})},
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(SECONDS):
            yield (await process.stdout.readline()).decode().strip()
        process.send_signal(signal.SIGINT)
        async with asyncio.timeout(SECONDS):
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def ask(url: str, body: Any = None, **headers: str) -> tuple[int, Any, Mapping[str, str]]:
    def asked() -> tuple[int, Any, Mapping[str, str]]:
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        given = {"Content-Type": "application/json", **{name.replace("_", "-"): text for name, text in headers.items()}}
        try:
            with urllib.request.urlopen(urllib.request.Request(url, data, given), timeout=SECONDS) as reply:
                return reply.status, reply.read(), dict(reply.headers)
        except urllib.error.HTTPError as error:
            return error.code, error.read(), dict(error.headers)

    return await asyncio.to_thread(asked)


async def test_the_page_and_the_api_of_a_server_elsewhere_are_served(target: str) -> None:
    async with ui(target) as page:
        api = page.removesuffix("ui/") + "memsvc.v1."
        scope = {"scope": {"userId": "sarah"}}
        status, body, headers = await ask(page)
        assert (status, headers["Content-Type"]) == (200, "text/html; charset=utf-8")
        assert b"main.js" in body
        status, body, _ = await ask(f"{api}MemoryService/CreateMemory", {**scope, "memory": {"text": "Skis"}})
        assert (status, json.loads(body)["memory"]["text"]) == (200, "Skis")
        status, body, _ = await ask(f"{api}MemoryService/GetMemory", {**scope, "memoryId": "none"})
        error = json.loads(body)
        assert (status, error["code"]) == (404, "not_found")
        assert error["details"][0]["debug"]["domain"] == "memsvc.dev"
        assert (await ask(f"{page}model.json"))[1] == b'{"name":""}'
        assert (await ask(page, Host="evil.example"))[0] == 421
        assert (await ask(f"{page}answer", {}, Origin="http://evil.example"))[0] == 403


async def test_who_does_not_know_the_address_is_served_nothing(target: str) -> None:
    async with ui(target) as page, ui(target) as other:
        root, secret, _ = page.removeprefix("http://").split("/", 2)
        paths = ("", "ui/", "ui/main.js", "livez", "memsvc.v1.AdminService/GetServerInfo", "ui/model.json", "ui/answer")
        for start in ("", f"{secret[:-1]}/", f"x{secret}/", f"{other.split('/')[3]}/", f"/{secret}/"):
            for path in paths:
                for body in (None, {}):
                    status, answered, _ = await ask(f"http://{root}/{start}{path}", body)
                    assert (status, json.loads(answered)["code"]) == (403, "permission_denied"), start + path
        assert len(secret) == 32
        assert (await ask(f"http://{root}/{secret}/"))[0] == 200


async def test_streams_are_relayed_as_they_come(target: str) -> None:
    message = {"role": "ROLE_USER", "parts": [{"text": {"text": "I live in Porto."}}]}
    request = json.dumps({"scope": {"userId": "sarah"}, "messages": {"messages": [message]}}).encode()
    async with ui(target) as page:
        url = page.removesuffix("ui/") + "memsvc.v1.ExtractionService/ExtractMemories"
        framed = struct.pack(">BI", 0, len(request)) + request
        status, body, _ = await ask(url, framed, Content_Type="application/connect+json")

    seen = messages_in(body)
    events = [next(key for key in each["event"] if key not in ("number", "resumeToken")) for _, each in seen[:-1]]
    assert status == 200
    assert (events[0], events[-2:]) == ("accepted", ["committed", "completed"])
    assert seen[-1] == (2, {})


async def test_streams_that_end_otherwise_are_relayed_to_their_end(target: str) -> None:
    scope = {"scope": {"userId": "sarah"}}
    kind = "application/connect+json"
    async with ui(target) as page:
        api = page.removesuffix("ui/") + "memsvc.v1."
        broken = [
            messages_in((await ask(f"{api}MemoryService/WatchMemories", each, Content_Type=kind))[1])
            for each in (b"", b"\0\0\0\0\1{", b"\0\0\0\0\2{}{}")
        ]
        await ask(f"{api}MemoryService/CreateMemory", {**scope, "memory": {"text": "Skis"}})
        watched = await streamed(f"{api}MemoryService/WatchMemories", {**scope, "sendInitial": True}, "2000")
        refused = await streamed(f"{api}ExtractionService/WatchExtraction", {**scope, "extractionId": "none"}, "20000")

    assert [each[0][1]["error"]["code"] for each in broken] == ["invalid_argument"] * 3
    *events, (flags, end) = watched
    assert events[0][1]["initial"]["text"] == "Skis"
    assert "initialDone" in events[1][1]
    assert (flags, end["error"]["code"]) == (2, "deadline_exceeded")
    assert [(flags, each["error"]["code"]) for flags, each in refused] == [(2, "not_found")]


async def streamed(url: str, request: Any, timeout_ms: str) -> list[tuple[int, Any]]:
    raw = json.dumps(request).encode()
    framed = struct.pack(">BI", 0, len(raw)) + raw
    kind = "application/connect+json"
    status, body, _ = await ask(url, framed, Content_Type=kind, Connect_Timeout_Ms=timeout_ms)
    assert status == 200
    return messages_in(body)


async def test_a_server_that_is_not_there_is_said_to_be_unavailable() -> None:
    async with ui("127.0.0.1:1") as page:
        url = page.removesuffix("ui/") + "memsvc.v1.AdminService/GetServerInfo"
        status, body, _ = await ask(url, {}, Connect_Timeout_Ms="5000")

    assert (status, json.loads(body)["code"]) in ((503, "unavailable"), (504, "deadline_exceeded"))


async def test_a_model_of_the_readers_own_answers(target: str) -> None:
    async with FakeOpenAI([Reply(content="In Porto, then.")]) as fake:
        keys = {"OPENAI_API_KEY": "k", "OPENAI_BASE_URL": fake.base_url, "MEMSVC_OPENAI_MODEL": "small"}
        async with ui(target, keys) as page:
            named = await ask(f"{page}model.json")
            said = {"role": "ROLE_USER", "parts": [{"text": {"text": "Where shall we eat?"}}]}
            answered = await ask(f"{page}answer", {"context": "home: Porto", "messages": [said]})
            wrong = [await ask(f"{page}answer", each) for each in NO_CONVERSATIONS]

        assert json.loads(named[1]) == {"name": "small"}
        assert json.loads(answered[1]) == {"text": "In Porto, then."}
        assert [json.loads(each[1]) for each in wrong] == [{"error": "this is no conversation"}] * len(wrong)
        assert "home: Porto" in fake.requests[0].prompt
        assert "Where shall we eat?" in fake.requests[0].prompt
