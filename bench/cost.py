"""What a turn costs at the model: calls and bytes, by how much is known already."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Iterator
from pathlib import Path

import grpc
from google.protobuf.field_mask_pb2 import FieldMask

from bench import requests
from bench.load import Load
from bench.measuring import Figure, Goal, at_most
from bench.processes import memsvc
from memsvc.testing.fake_openai import FakeOpenAI
from memsvc.v1 import (
    common_pb2,
    config_pb2,
    config_pb2_grpc,
    extraction_pb2,
    message_pb2,
    session_pb2_grpc,
    tool_pb2,
    tool_pb2_grpc,
)

_KNOWN = (0, 10, 100, 1_000)
_TURNS = (
    ("I moved to Lisbon last month and I really enjoy surfing.", "How nice! The waves are good in autumn."),
    ("My sister Leila is getting married in September", "Congratulations! Where is the wedding?"),
    ("How do I clean data with pandas? I work at Northwind now", "Start with dropna and astype."),
)
_SMALL_TALK = (("ok thanks", "You are welcome!"), ("Thanks a lot!", "Any time."), ("bye", "See you soon."))
_REQUEST_BYTES = at_most(6_000)


def measure(scratch: Path) -> Iterator[Figure]:
    yield from asyncio.run(_measure(scratch))


async def _measure(scratch: Path) -> list[Figure]:
    figures: list[Figure] = []
    async with FakeOpenAI() as model:
        settings = ("--engine", "openai", "--openai-base-url", model.base_url, "--openai-api-key", "none")
        with Load() as load, memsvc(scratch, *settings, "--quiet-seconds", "0") as server:
            counts = [(f"user-{known}", known) for known in _KNOWN]
            requests.fill(load, server, counts)
            async with grpc.aio.insecure_channel(
                server.address, options=[("grpc.default_authority", "localhost")]
            ) as channel:
                sessions = session_pb2_grpc.SessionServiceStub(channel)
                for user, known in counts:
                    sent = [await _sent(sessions, model, user, turn) for turn in _TURNS]
                    if not all(sent):
                        raise RuntimeError("a turn was learned from without the model")
                    name = f"cost.known_{known}"
                    figures.append(Figure(f"{name}.calls", max(map(len, sent)), "a turn", Goal(1)))
                    figures.append(Figure(f"{name}.bytes", max(map(sum, sent)), "a turn", _REQUEST_BYTES))
                small = [await _sent(sessions, model, "user-10", turn) for turn in _SMALL_TALK]
                figures.append(Figure("cost.small_talk.calls", sum(map(len, small)), "in 3 turns", Goal(0)))
                for mode in (common_pb2.LEARNING_MODE_BOTH, common_pb2.LEARNING_MODE_AGENTIC):
                    await _configure(channel, mode)
                    by_tools = [await _sent_with_tools(channel, sessions, model, turn) for turn in _TURNS]
                    name = common_pb2.LearningMode.Name(mode).removeprefix("LEARNING_MODE_").lower()
                    most = Goal(1 if mode == common_pb2.LEARNING_MODE_BOTH else 0)
                    figures.append(Figure(f"cost.{name}.calls", max(map(len, by_tools)), "a turn", most))
    return figures


async def _configure(channel: grpc.aio.Channel, mode: common_pb2.LearningMode.ValueType) -> None:
    settings = config_pb2.MemorySettings(mode=mode)
    request = config_pb2.UpdateMemoryConfigRequest(settings=settings, update_mask=FieldMask(paths=["mode"]))
    await config_pb2_grpc.ConfigServiceStub(channel).UpdateMemoryConfig(request)


async def _sent_with_tools(
    channel: grpc.aio.Channel,
    sessions: session_pb2_grpc.SessionServiceAsyncStub,
    model: FakeOpenAI,
    turn: tuple[str, str],
) -> list[int]:
    """Return the sizes for a turn in which the agent's model has saved something by a tool, as its run tells."""
    arguments = json.dumps({"layer": "knowledge", "text": f"Said: {turn[0]}"})
    request = requests.append("user-10", turn)
    call = tool_pb2.CallToolRequest(
        scope=request.scope, name="save_memory", arguments_json=arguments, call_id=str(uuid.uuid4())
    )
    model.requests.clear()
    answer = await tool_pb2_grpc.ToolServiceStub(channel).CallTool(call, timeout=60)
    if answer.is_error or model.requests:
        raise RuntimeError(f"saving by a tool took {len(model.requests)} calls of the model: {answer.text}")
    called = message_pb2.ToolCallPart(id=call.call_id, name=call.name, arguments_json=arguments)
    request.run.messages.insert(
        1, message_pb2.Message(role=common_pb2.ROLE_ASSISTANT, parts=[message_pb2.Part(tool_call=called)])
    )
    request.wait_for_learning.FromSeconds(30)
    await sessions.AppendRun(request, timeout=60)
    return [received.body_bytes for received in model.requests]


async def _sent(
    sessions: session_pb2_grpc.SessionServiceAsyncStub, model: FakeOpenAI, user: str, turn: tuple[str, str]
) -> list[int]:
    """Return the size of each request that the model got until the turn was learned from."""
    model.requests.clear()
    request = requests.append(user, turn)
    request.wait_for_learning.FromSeconds(30)
    response = await sessions.AppendRun(request, timeout=60)
    if response.extraction.state != extraction_pb2.EXTRACTION_STATE_SUCCEEDED:
        raise RuntimeError(f"extraction of {turn[0]!r} did not succeed: {response.extraction}")
    return [received.body_bytes for received in model.requests]
