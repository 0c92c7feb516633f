"""`memsvc mcp --listen`: streamable HTTP, where a token says whose memory it is; and a memsvc that goes away."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp.shared.exceptions import MCPError

from memsvc.access.allowance import Allowance
from memsvc.access.token_file import TokenFile
from memsvc.access.tokens import Entry, new_token, token_hash
from memsvc_client import MemoryClient
from tests.integration.mcp.mcp_hosts import MODES, listening, over_http, over_stdio, said_of, text_of
from tests.torture.process import Installation

DOWN = "The memory service cannot be reached now"
HELLO = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
ACCEPT = {"accept": "application/json, text/event-stream"}


@pytest.fixture
def tokens(tmp_path: Path) -> TokenFile:
    path = tmp_path / "tokens"
    path.touch()
    return TokenFile(path)


def token(tokens: TokenFile, name: str, **more: Any) -> str:
    """Make a token."""
    made = new_token(name)
    said = {"namespaces": ["team"], "rights": ["read", "write"], "users": [name], **more}
    tokens.add(Entry(id=name, token_sha256=token_hash(made), **said))
    return made


@pytest.mark.parametrize("mode", MODES)
async def test_each_token_opens_the_memory_of_its_user_alone(
    service: MemoryClient, target: str, tokens: TokenFile, mode: str
) -> None:
    ann, bob, reader = token(tokens, "ann"), token(tokens, "bob"), token(tokens, "eve", rights=["read"], users=["ann"])
    async with listening("--target", target, "--tokens-file", str(tokens.path)) as url:

        async def talk(name: str, secret: str) -> str:
            async with over_http(url, secret, mode) as host:
                for number in range(4):
                    await host.call_tool("save_memory", {"layer": "knowledge", "text": f"Fact {number} of {name}"})
                with pytest.raises(MCPError, match="There is no such resource here"):
                    await host.read_resource(f"memsvc://users/{'bob' if name == 'ann' else 'ann'}/memories")
                return text_of(await host.call_tool("get_memories", {}))

        anns, bobs = await asyncio.gather(talk("ann", ann), talk("bob", bob))
        async with over_http(url, reader, mode) as host:
            assert "save_memory" not in [tool.name for tool in (await host.list_tools()).tools]
            assert "Fact 3 of ann" in text_of(await host.call_tool("get_memories", {}))

    assert anns.count("of ann") == bobs.count("of bob") == 4
    assert "bob" not in anns
    assert "ann" not in bobs
    with MemoryClient(target, namespace="team") as client:
        assert [each.agent_id for each in client.user("ann").memories.list()] == ["mcp"] * 4


def unknown(_: TokenFile) -> str:
    return new_token("ann")


def of_several_users(tokens: TokenFile) -> str:
    return token(tokens, "several", users=["cust-*"])


def of_all_users(tokens: TokenFile) -> str:
    return token(tokens, "all", users=[])


def of_all_namespaces(tokens: TokenFile) -> str:
    return token(tokens, "everywhere", namespaces=["t*"])


def without_reading(tokens: TokenFile) -> str:
    return token(tokens, "writer", rights=["write"])


def expired(tokens: TokenFile) -> str:
    return token(tokens, "late", expire_time=datetime.now(UTC) - timedelta(seconds=5))


def revoked(tokens: TokenFile) -> str:
    made = token(tokens, "gone")
    tokens.remove(["gone"])
    return made


async def test_nobody_comes_in_by_a_token_that_names_no_single_user_or_is_not_known(
    target: str, tokens: TokenFile
) -> None:
    good = token(tokens, "ann")
    async with listening("--target", target, "--tokens-file", str(tokens.path)) as url, httpx2.AsyncClient() as http:

        async def status(secret: str, **headers: str) -> int:
            sent = {**ACCEPT, **({"authorization": f"Bearer {secret}"} if secret else {}), **headers}
            return (await http.post(url, json=HELLO, headers=sent)).status_code

        assert await status(good) == 200
        assert await status("") == 401
        makers: list[Callable[[TokenFile], str]] = [unknown, of_several_users, of_all_users, of_all_namespaces]
        for make in (*makers, without_reading, expired, revoked):
            assert await status(make(tokens)) == 401, make.__name__
        # A page of elsewhere that had itself resolved to the loopback.
        assert await status(good, host="evil.example") == 421
        assert await status(good, origin="http://evil.example") == 403
        large = await http.post(url, content=b"[" * (2 << 20), headers={**ACCEPT, "authorization": f"Bearer {good}"})
        assert large.status_code == 413


async def test_a_token_makes_no_more_calls_than_it_may_and_is_told_when_to_come_again(
    target: str, tokens: TokenFile
) -> None:
    slow, free = token(tokens, "ann", limits=Allowance(calls_per_second=0.01)), token(tokens, "bob")
    async with listening("--target", target, "--tokens-file", str(tokens.path)) as url, httpx2.AsyncClient() as http:

        async def said(secret: str, method: str, **params: Any) -> str:
            sent = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
            return (await http.post(url, json=sent, headers={**ACCEPT, "authorization": f"Bearer {secret}"})).text

        first, *more = [await said(slow, "tools/call", name="get_memories", arguments={}) for _ in range(3)]
        assert "calls a second" not in first
        for each in more:
            assert '"isError":true' in each
            assert "may make no more than 0.01 calls a second: try again in" in each
        for method, params in (("tools/list", {}), ("resources/read", {"uri": "memsvc://users/ann/memories"})):
            refused = await said(slow, method, **params)
            assert '"error"' in refused
            assert "calls a second" in refused
        # What asks nothing of memsvc is free, and others are not concerned.
        assert "memsvc://users/ann" in await said(slow, "resources/list")
        for _ in range(3):
            assert "calls a second" not in await said(free, "tools/call", name="get_memories", arguments={})


async def test_flags_say_whose_memory_a_token_of_several_users_opens(target: str, tokens: TokenFile) -> None:
    several = of_several_users(tokens)
    flags = ("--target", target, "--tokens-file", str(tokens.path), "--namespace", "team")
    async with listening(*flags, "--user", "cust-7") as url, over_http(url, several) as host:
        (uri, *_) = [str(each.uri) for each in (await host.list_resources()).resources]
    assert uri == "memsvc://users/cust-7/context"
    async with listening(*flags, "--user", "sarah") as url, httpx2.AsyncClient() as http:
        refused = await http.post(url, json=HELLO, headers={**ACCEPT, "authorization": f"Bearer {several}"})
    assert refused.status_code == 401


async def test_while_memsvc_is_down_calls_say_so_and_once_it_is_back_they_are_served(tmp_path: Path) -> None:
    installation = Installation(tmp_path, f"sqlite:///{tmp_path}/memory.db", {"engine": "rules", "embedder": "none"})
    async with installation.serving() as server:
        async with over_stdio("--target", server.target) as host:
            await host.call_tool("save_memory", {"layer": "knowledge", "text": "Skis"})
            await server.kill()
            said = [await said_of(host, name, given) for name, given in DURING_AN_OUTAGE]
            with pytest.raises(MCPError, match=DOWN):
                await host.list_tools()
            with pytest.raises(MCPError, match=DOWN):
                await host.read_resource("memsvc://users/me/context")
            with pytest.raises(MCPError, match=DOWN):
                await host.get_prompt("about_me", {})
            async with installation.serving(listen=[server.target]):
                found = text_of(await host.call_tool("get_memories", {}))

    assert all(each.startswith(DOWN) for each in said)
    assert "Skis" in found
    assert "Rome" not in json.dumps(said)


DURING_AN_OUTAGE = [
    ("save_memory", {"layer": "knowledge", "text": "Lives in Rome"}),
    ("search_memories", {"query": "Rome"}),
]


async def test_a_token_of_memsvc_that_is_refused_is_told_in_words(tmp_path: Path, tokens: TokenFile) -> None:
    settings = {"engine": "rules", "embedder": "none", "tokens_file": tokens.path}
    async with Installation(tmp_path, f"sqlite:///{tmp_path}/memory.db", settings).serving() as server:
        async with over_stdio("--target", server.target, "--token", unknown(tokens)) as host:
            assert "has no right" in await said_of(host, "get_memories", {})
        good = token(tokens, "ann")
        flags = ("--target", server.target, "--token", good, "--namespace", "team", "--user")
        async with over_stdio(*flags, "bob") as host:
            assert "has no right" in await said_of(host, "get_memories", {})
        async with over_stdio(*flags, "ann") as host:
            assert (await host.call_tool("save_memory", {"layer": "profile", "text": "Skis"})).is_error is False
