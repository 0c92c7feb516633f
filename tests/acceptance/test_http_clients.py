"""Clients that others wrote call the operator's port of a real server: curl, `buf curl`, connect-web in Node."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.torture.process import Installation

ROOT = Path(__file__).parents[2]
WEB = Path(__file__).parent / "connect_web"
BUF = Path(sys.executable).with_name("buf")
SECONDS = 60.0


@pytest.fixture
async def url() -> AsyncIterator[str]:
    with tempfile.TemporaryDirectory(prefix="memsvc") as folder:
        installation = Installation(Path(folder), f"sqlite:///{folder}/memsvc.db", {"engine": "rules"})
        async with installation.serving(http_listen="127.0.0.1:0") as server:
            yield server.ready_file.read_text().split()[-1]


async def output_of(*command: str, cwd: Path = ROOT) -> str:
    """Run a command and return what it prints; it has to succeed."""
    process = await asyncio.create_subprocess_exec(
        *command, cwd=cwd, stdin=asyncio.subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    async with asyncio.timeout(SECONDS):
        output, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    return output.decode()


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
async def test_what_the_page_says_of_curl_works(url: str) -> None:
    page = (ROOT / "docs" / "http.md").read_text()
    commands = re.findall(r"^    curl (.*?)(?<!\\)$", page, re.MULTILINE | re.DOTALL)
    replies = []
    for command in commands:
        there = command.replace("localhost:7433", url)
        replies.append(json.loads(await output_of("sh", "-c", f"curl --silent --fail-with-body {there}")))

    assert replies[0]["memory"]["text"] == "Lives in Lisbon"
    assert "Lives in Lisbon" in replies[1]["text"]


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
async def test_curl_sends_large_bodies_and_keeps_its_connection(url: str) -> None:
    parts = [{"text": {"text": "x" * 200_000}} for _ in range(8)]
    run = {"sessionId": "s", "messages": [{"role": "ROLE_ASSISTANT", "parts": [part]} for part in parts]}
    with tempfile.NamedTemporaryFile("w") as body:
        json.dump({"scope": {"userId": "sarah"}, "run": run}, body)
        body.flush()
        call = f"{url}/memsvc.v1.SessionService/AppendRun"
        sending = ("-H", "Content-Type: application/json", "--data-binary", f"@{body.name}", call)
        out = await output_of(
            "curl", "-s", "-w", "%{http_code} %{num_connects}\n", *sending, "--next", "-s", f"{url}/livez"
        )

    assert " 1\n" in out
    assert "200 1" in out
    assert out.endswith("ok\n")


async def test_buf_curl_calls_and_reads_streams(url: str) -> None:
    async def call(method: str, request: Any) -> list[Any]:
        arguments = ("--protocol", "connect", "--schema", "protos", f"{url}/memsvc.v1.{method}")
        return documents(await output_of(str(BUF), "curl", *arguments, "-d", json.dumps(request)))

    scope = {"userId": "sarah"}
    message = {"role": "ROLE_USER", "parts": [{"text": {"text": "My name is Sarah and I live in Porto."}}]}
    created = await call("MemoryService/CreateMemory", {"scope": scope, "memory": {"text": "Skis"}})
    listed = await call("MemoryService/ListMemories", {"scope": scope})
    events = await call("ExtractionService/ExtractMemories", {"scope": scope, "messages": {"messages": [message]}})

    assert created[0]["memory"]["text"] == "Skis"
    assert listed[0]["totalSize"] == 1
    assert ["accepted" in events[0]["event"], "completed" in events[-1]["event"]] == [True, True]


async def test_connect_web_calls_and_reads_streams(url: str) -> None:
    descriptors = ROOT / "memsvc" / "v1" / "descriptors.binpb"
    seen = json.loads(await output_of("node", "client.mjs", url, str(descriptors), cwd=connect_web()))

    for each in seen.values():
        assert each["texts"] == ["Lives in Lisbon"]
        assert each["revision"] == "1"
        assert each["failed"] == "NotFound"
        assert "google.rpc.ErrorInfo" in each["details"]
        assert each["watched"] == ["initial", "initialDone"]
        assert each["learned"] == ["accepted", "completed"]


def connect_web() -> Path:
    """Return a folder with connect-web in it, fetched once; skip where npm or the network is not there."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("Node and npm are not installed")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "memsvc" / "tests"
    folder = cache / "connect-web-2.1"
    folder.mkdir(parents=True, exist_ok=True)
    with (cache / "connect-web.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for name in ("package.json", "package-lock.json", "client.mjs"):
            shutil.copy(WEB / name, folder / name)
        if not (folder / "node_modules" / ".package-lock.json").exists():
            command = ["npm", "ci", "--silent", "--no-audit", "--no-fund"]
            fetched = subprocess.run(command, cwd=folder, capture_output=True, timeout=SECONDS, check=False)
            if fetched.returncode:
                pytest.skip("npm cannot fetch connect-web")
    return folder


def documents(text: str) -> list[Any]:
    """Return the JSON documents that stand one after the other."""
    decoder, found, at = json.JSONDecoder(), [], 0
    while at < len(text.rstrip()):
        document, at = decoder.raw_decode(text, at)
        found.append(document)
        at += len(text[at:]) - len(text[at:].lstrip())
    return found
