"""A call of a tool whose server is killed before it answers is sent again, and has been carried out once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import grpc
import pytest

from memsvc.v1 import common_pb2, config_pb2, memory_pb2, memory_pb2_grpc, tool_pb2, tool_pb2_grpc
from tests.torture.process import Installation

SARAH = common_pb2.Scope(user_id="sarah")
SETTINGS = {"engine": "rules", "embedder": "none", "quiet_seconds": 0, "poll_seconds": 0.1, "lease_seconds": 1}
BOTH = config_pb2.MemorySettings(mode=common_pb2.LEARNING_MODE_BOTH)


def request(name: str, arguments: str, call_id: str) -> tool_pb2.CallToolRequest:
    return tool_pb2.CallToolRequest(
        scope=SARAH, name=name, arguments_json=arguments, call_id=call_id, session_id="s1", settings=BOTH
    )


SAVE = '{"layer": "profile", "text": "Speaks German", "key": "languages", "value": ["German"]}'


@pytest.mark.parametrize(
    ("place", "name", "arguments", "texts"),
    [
        ("writer.after_append", "save_memory", SAVE, 2),
        ("writer.before_append", "forget", '{"number": "m1"}', 0),
        ("writer.after_append", "update_user_memory", '{"task": "I live in Oslo"}', 2),
    ],
)
async def test_a_call_that_is_cut_off_by_a_kill_is_carried_out_once(
    tmp_path: Path, place: str, name: str, arguments: str, texts: int
) -> None:
    installation = Installation(tmp_path, f"sqlite:///{tmp_path}/memory.db", SETTINGS)
    async with installation.serving() as server:
        first = await called(server.target, request("save_memory", '{"layer": "knowledge", "text": "Likes tea"}', "c0"))
    async with installation.serving(environment={"MEMSVC_CRASH_POINT": place}) as server:
        with pytest.raises(grpc.aio.AioRpcError):
            await called(server.target, request(name, arguments, "c1"))
        await server.ended()
    async with installation.serving() as server:
        replies = [await called(server.target, request(name, arguments, "c1")) for _ in range(2)]
        listed = await memories(server.target)

    assert first.revision == 1
    assert replies[0] == replies[1]
    assert (replies[0].is_error, replies[0].revision) == (False, 2)
    assert len(listed.memories) == texts
    assert listed.revision == 2


async def called(target: str, call: tool_pb2.CallToolRequest) -> tool_pb2.CallToolResponse:
    async with grpc.aio.insecure_channel(target, options=[("grpc.default_authority", "localhost")]) as channel:
        stub: Any = tool_pb2_grpc.ToolServiceStub(channel)
        reply: tool_pb2.CallToolResponse = await stub.CallTool(call, timeout=60)
        return reply


async def memories(target: str) -> memory_pb2.ListMemoriesResponse:
    async with grpc.aio.insecure_channel(target, options=[("grpc.default_authority", "localhost")]) as channel:
        stub: Any = memory_pb2_grpc.MemoryServiceStub(channel)
        listed: memory_pb2.ListMemoriesResponse = await stub.ListMemories(memory_pb2.ListMemoriesRequest(scope=SARAH))
        return listed
