"""The inspector's command line, and server-memory beside our graph: once `make mcp` has installed them."""

from __future__ import annotations

import asyncio
import importlib.machinery
import importlib.util
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from mcp.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client

from tests.integration.mcp.mcp_hosts import flags_of, listening, over_stdio

ROOT = Path(__file__).parents[3]


def _tool() -> Any:
    loader = importlib.machinery.SourceFileLoader("mcp_conformance", str(ROOT / "tools/mcp-conformance"))
    spec = importlib.util.spec_from_loader("mcp_conformance", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def packages() -> tuple[str, Path]:
    """Node, and where the packages are."""
    tool = _tool()
    folder: Path = tool.place()
    if not folder.exists():
        pytest.skip("the inspector and server-memory are not installed: make mcp")
    return tool.node(folder), folder / "node_modules/@modelcontextprotocol"


async def test_the_inspectors_command_line_lists_and_calls(
    packages: tuple[str, Path], target: str, user_id: str
) -> None:
    node, modules = packages

    async def inspect(*arguments: str) -> Any:
        process = await asyncio.create_subprocess_exec(
            *(
                node,
                str(modules / "inspector/clients/launcher/build/index.js"),
                "--cli",
                "--connect-timeout",
                "120000",
                *arguments,
            ),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        output, errors = await process.communicate()
        assert process.returncode == 0, errors.decode()
        return json.loads(output)

    async with listening("--target", target, "--user", user_id) as url:
        at = (url, "--transport", "http")
        listed = await inspect(*at, "--method", "tools/list")
        saved = await inspect(
            *(*at, "--method", "tools/call", "--tool-name", "save_memory"),
            *("--tool-arg", "layer=profile", "--tool-arg", "text=Lives in Rome"),
        )
    over_pipe = await inspect(
        *(sys.executable, "-m", "memsvc", "mcp", "--target", target, "--user", user_id),
        *("--method", "tools/call", "--tool-name", "get_memories"),
    )

    assert "save_memory" in [tool["name"] for tool in listed["tools"]]
    assert saved["structuredContent"]["changes"][0]["text"] == "Lives in Rome"
    assert "Lives in Rome" in over_pipe["content"][0]["text"]


CALLS: list[tuple[str, dict[str, Any]]] = [
    (
        "create_entities",
        {
            "entities": [
                {"name": "Sarah", "entityType": "person", "observations": ["Likes tea", "  two\n lines "]},
                {"name": "Acme", "entityType": "company", "observations": []},
            ]
        },
    ),
    ("create_entities", {"entities": [{"name": "Sarah", "entityType": "x", "observations": ["y"]}]}),
    ("create_relations", {"relations": [{"from": "Sarah", "to": "Acme", "relationType": "works_at"}]}),
    ("create_relations", {"relations": [{"from": "Sarah", "to": "Nobody", "relationType": "knows"}]}),
    ("add_observations", {"observations": [{"entityName": "Sarah", "contents": ["Skis", "Likes tea"]}]}),
    ("add_observations", {"observations": [{"entityName": "Nobody", "contents": ["Skis"]}]}),
    ("search_nodes", {"query": "SKI"}),
    ("search_nodes", {"query": "zeppelin"}),
    ("open_nodes", {"names": ["Acme", "Nobody"]}),
    ("delete_observations", {"deletions": [{"entityName": "Sarah", "observations": ["Skis", "Nothing"]}]}),
    ("read_graph", {}),
    ("delete_relations", {"relations": [{"from": "Sarah", "to": "Acme", "relationType": "works_at"}]}),
    ("delete_entities", {"entityNames": ["Acme", "Nobody"]}),
    ("read_graph", {}),
]


async def test_the_graph_answers_as_server_memory_does(
    packages: tuple[str, Path], target: str, user_id: str, tmp_path: Path
) -> None:
    node, modules = packages
    program = str(modules / "server-memory/dist/index.js")
    environment = {**os.environ, "MEMORY_FILE_PATH": str(tmp_path / "graph.jsonl")}
    theirs = stdio_client(StdioServerParameters(command=node, args=[program], env=environment))
    async with (
        Client(theirs, mode="legacy") as other,
        over_stdio(*flags_of(target, user_id), "--as", "server-memory", mode="legacy") as ours,
    ):
        theirs_tools, our_tools = [
            sorted((await host.list_tools()).tools, key=lambda tool: tool.name) for host in (other, ours)
        ]
        for theirs_tool, our_tool in zip(theirs_tools, our_tools, strict=True):
            assert (our_tool.name, our_tool.description) == (theirs_tool.name, theirs_tool.description)
            for hint in ("read_only_hint", "destructive_hint", "idempotent_hint", "open_world_hint"):
                assert getattr(our_tool.annotations, hint) == getattr(theirs_tool.annotations, hint), our_tool.name
        for name, arguments in CALLS:
            said = [await host.call_tool(name, arguments) for host in (other, ours)]
            assert said[1].is_error == said[0].is_error, name
            assert said[1].structured_content == said[0].structured_content, name
