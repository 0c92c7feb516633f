"""`memsvc mcp` over stdio: what hosts see of a user's memory, in the newest form of the protocol and in older ones."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import jsonschema
import pytest
from mcp.shared.exceptions import MCPError
from mcp.types import PromptReference, ResourceTemplateReference

from memsvc_client import MemoryClient
from tests.integration.mcp.mcp_hosts import MODES, flags_of, over_stdio, said_of, text_of
from tests.servers.process import ends_with_its_parent

WRITING = ["save_memory", "update_memory", "forget", "update_user_memory"]
READING = ["search_memories", "get_memories", "read_chat_history", "search_history"]


@pytest.mark.parametrize("mode", MODES)
async def test_a_host_saves_finds_and_forgets(service: MemoryClient, target: str, user_id: str, mode: str) -> None:
    async with over_stdio(*flags_of(target, user_id), mode=mode) as host:
        assert host.protocol_version == ("2026-07-28" if mode == "auto" else "2025-11-25")
        tools = {tool.name: tool for tool in (await host.list_tools()).tools}
        saved = await host.call_tool("save_memory", {"layer": "profile", "key": "city", "text": "Lives in Rome"})
        found = await host.call_tool("search_memories", {"query": "Where does she live? Rome?"})
        forgot = await host.call_tool("forget", {"number": "m1"})

    assert list(tools) == WRITING + READING
    for tool in tools.values():
        hints = tool.annotations
        assert hints is not None
        assert None not in (hints.read_only_hint, hints.destructive_hint, hints.idempotent_hint, hints.open_world_hint)
        assert hints.read_only_hint == (tool.name in READING)
        assert hints.destructive_hint == (tool.name in WRITING)
    for name, answer in (("save_memory", saved), ("search_memories", found), ("forget", forgot)):
        jsonschema.validate(answer.structured_content, tools[name].output_schema or {})
    assert "Lives in Rome" in text_of(found)
    assert [change["kind"] for change in saved.structured_content["changes"]] == ["created"]
    assert [change["number"] for change in forgot.structured_content["changes"]] == ["m1"]
    (commit, *_) = service.user(user_id).changes()
    assert [change.kind for change in commit.changes] == ["deleted"]


@pytest.mark.parametrize("mode", MODES)
async def test_resources_and_prompts_show_what_is_known(
    service: MemoryClient, target: str, user_id: str, mode: str
) -> None:
    memories = service.user(user_id).memories
    memories.upsert("policy", "response_style", "Answer concisely", value="concise")
    memories.add("Skis at Tahoe")
    async with over_stdio(*flags_of(target, user_id), mode=mode) as host:
        uris = [str(each.uri) for each in (await host.list_resources()).resources]
        forms = [each.uri_template for each in (await host.list_resource_templates()).resource_templates]
        context, listed, document = [(await host.read_resource(uri)).contents[0].text for uri in uris]  # type: ignore[union-attr]
        completed = await host.complete(
            ResourceTemplateReference(type="ref/resource", uri=forms[0]), {"name": "user", "value": "Sa"}
        )
        other = await host.complete(
            PromptReference(type="ref/prompt", name="about_me"), {"name": "query", "value": "Sa"}
        )
        prompts = [each.name for each in (await host.list_prompts()).prompts]
        about = await host.get_prompt("about_me", {"query": "skiing"})
        remember = await host.get_prompt("remember", {"fact": "I ski"})

    assert [uri.rpartition("/")[2] for uri in uris] == ["context", "memories", "document"]
    assert " " not in uris[0]
    assert forms[0] == "memsvc://users/{user}/context"
    assert "response_style: concise" in context
    assert [each["memory"] for each in json.loads(listed)["memories"]] == ["Skis at Tahoe", "Answer concisely"]
    assert json.loads(document)["policy"] == {"response_style": "concise"}
    assert (completed.completion.values, other.completion.values) == ([user_id], [])
    assert prompts == ["about_me", "remember", "review_memories"]
    assert "Skis at Tahoe" in about.messages[0].content.text  # type: ignore[union-attr]
    assert remember.messages[0].content.text.endswith("I ski")  # type: ignore[union-attr]


async def test_what_is_hidden_from_models_is_in_no_tool_and_no_resource(service: MemoryClient, target: str) -> None:
    with MemoryClient(target, namespace="hiding") as client:
        client.config.update(profile_shown=False)
        client.user("ben").memories.add("Earns a lot", layer="profile")
        client.user("ben").memories.add("Skis")
    async with over_stdio(*flags_of(target, "ben"), "--namespace", "hiding") as host:
        shown = [
            (await host.read_resource(f"memsvc://users/ben/{kind}")).contents[0].text  # type: ignore[union-attr]
            for kind in ("context", "memories", "document")
        ]
        shown.append(text_of(await host.call_tool("get_memories", {})))
    for each in shown:
        assert "Skis" in each
        assert "Earns" not in each


async def test_what_may_be_changed_says_who_started_it(service: MemoryClient, target: str, user_id: str) -> None:
    async with over_stdio(*flags_of(target, user_id), "--read-only") as host:
        assert [tool.name for tool in (await host.list_tools()).tools] == READING
        assert [each.name for each in (await host.list_prompts()).prompts] == ["about_me"]
        assert "There is no such tool here" in await said_of(host, "save_memory", {"layer": "profile", "text": "x"})
    async with over_stdio(*flags_of(target, user_id), "--mode", "configured") as host:
        assert [tool.name for tool in (await host.list_tools()).tools] == READING


async def test_two_users_at_once_see_nothing_of_each_other(service: MemoryClient, target: str) -> None:
    async with over_stdio(*flags_of(target, "ann")) as ann, over_stdio(*flags_of(target, "bob"), mode="legacy") as bob:
        for number in range(5):
            await ann.call_tool("save_memory", {"layer": "knowledge", "text": f"Ann's fact {number}"})
            await bob.call_tool("save_memory", {"layer": "knowledge", "text": f"Bob's fact {number}"})
        theirs = [text_of(await host.call_tool("get_memories", {})) for host in (ann, bob)]
        for uri in (
            "memsvc://users/bob/memories",
            "memsvc://users/nobody/memories",
            "memsvc://users/ann/keys",
            "file:///",
        ):
            with pytest.raises(MCPError, match="There is no such resource here"):
                await ann.read_resource(uri)
        tried = {"layer": "knowledge", "text": "x", "user_id": "bob", "namespace": "other"}
        assert "is no argument of save_memory" in await said_of(ann, "save_memory", tried)

    assert theirs[0].count("Ann's") == theirs[1].count("Bob's") == 5
    assert "Bob" not in theirs[0] + json.dumps(service.user("ann").get().to_dict())  # type: ignore[union-attr]
    assert "Ann" not in theirs[1]


HOSTILE: list[tuple[str, Any]] = [
    ("save_memory", {"layer": "hush-4711", "text": "a"}),
    ("save_memory", {"layer": "profile", "text": {"hush-4711": 1}}),
    ("save_memory", {"layer": "profile", "text": "a", "key": "hush-4711!"}),
    ("save_memory", {"layer": "profile", "text": "hush-4711" * 10_000}),
    ("update_memory", {"number": "hush-4711", "text": "a"}),
    ("forget", {"number": 10**400}),
    ("search_memories", {"query": ["hush-4711"]}),
    ("get_memories", {"limit": "hush-4711"}),
    ("hush-4711", {}),
]


@pytest.mark.parametrize("mode", MODES)
async def test_hostile_arguments_are_errors_that_repeat_no_value(target: str, user_id: str, mode: str) -> None:
    async with over_stdio(*flags_of(target, user_id), mode=mode) as host:
        for name, arguments in HOSTILE:
            said = await said_of(host, name, arguments)
            assert said
            assert "hush-4711" not in said
            assert "Traceback" not in said
        assert text_of(await host.call_tool("get_memories", {}))


RAW = [
    r'{"name": "save_memory", "arguments": {"layer": "profile", "text": "hush-4711\ud800"}}',
    r'{"name": "save_memory", "arguments": {"layer": "profile", "text": "a", "key": "k", "value": NaN}}',
    r'{"name": "save_memory", "arguments": "hush-4711"}',
    r'{"name": "save_memory", "arguments": ["hush-4711"]}',
    r'{"name": {"hush-4711": 1}}',
    r'{"name": "save_memory", "arguments": {"text": ' + "[" * 5_000 + "]" * 5_000 + "}}",
    r"{",
    "\x00\xff",
]
CALL = '{"jsonrpc": "2.0", "id": %s, "method": "tools/call", "params": %s}'


async def test_what_no_client_would_send_is_answered_or_dropped_and_the_next_call_is_served(
    target: str, user_id: str
) -> None:
    process = await asyncio.create_subprocess_exec(
        *(*ends_with_its_parent(), sys.executable, "-m", "memsvc", "mcp", *flags_of(target, user_id)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    hello = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "raw", "version": "1"}}
    lines = [f'{{"jsonrpc": "2.0", "id": "hello", "method": "initialize", "params": {json.dumps(hello)}}}']
    lines.append('{"jsonrpc": "2.0", "method": "notifications/initialized"}')
    lines += [
        f'{{"jsonrpc": "2.0", "id": {number}, "method": "tools/call", "params": {raw}}}'
        for number, raw in enumerate(RAW)
    ]
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("\n".join(lines).encode() + b"\n")
    process.stdin.write(
        b'{"jsonrpc": "2.0", "id": "last", "method": "tools/call", "params": {"name": "get_memories"}}\n'
    )
    said = b""
    async with asyncio.timeout(60):
        while b'"last"' not in said:
            line = await process.stdout.readline()
            assert line
            said += line
    process.stdin.close()
    output, errors = await process.communicate()

    assert b"hush-4711" not in said + output + errors
    assert process.returncode == 0
