"""Every write twice with one request id: the same reply, done once; with other content it is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grpc
import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message
from rpc_harness import SARAH, Harness, failing, new_request_id, said

from memsvc.model import Scope
from memsvc.rpc.services import SERVICES, rpcs
from memsvc.v1 import admin_pb2, common_pb2, config_pb2, extraction_pb2, memory_pb2, session_pb2

RPCS = {rpc.name: rpc for service in SERVICES for rpc in rpcs(service)}
MASK = FieldMask(paths=["text"])

Change = Callable[[Any], object]

WRITES: dict[str, tuple[Message, Change]] = {
    "CreateMemory": (
        memory_pb2.CreateMemoryRequest(
            scope=SARAH, memory=memory_pb2.Memory(text="Sails", metadata={"a": "1", "b": "2"})
        ),
        lambda request: setattr(request.memory, "text", "Rows"),
    ),
    "BatchWriteMemories": (
        memory_pb2.BatchWriteMemoriesRequest(
            scope=SARAH,
            operations=[
                memory_pb2.BatchWriteOperation(
                    create=memory_pb2.CreateOperation(memory=memory_pb2.Memory(text="Sails"))
                )
            ],
        ),
        lambda request: request.operations.add().delete.CopyFrom(
            memory_pb2.DeleteOperation(memory_id="none", allow_missing=True)
        ),
    ),
    "UpdateMemory": (
        memory_pb2.UpdateMemoryRequest(
            scope=SARAH, memory=memory_pb2.Memory(memory_id="m1", text="Sails"), update_mask=MASK
        ),
        lambda request: setattr(request.memory, "text", "Rows"),
    ),
    "DeleteMemory": (
        memory_pb2.DeleteMemoryRequest(scope=SARAH, memory_id="m1"),
        lambda request: setattr(request, "allow_missing", True),
    ),
    "ClearMemories": (
        memory_pb2.ClearMemoriesRequest(scope=SARAH, filter=common_pb2.MemoryFilter(memory_ids=["m1"])),
        lambda request: request.filter.memory_ids.append("m2"),
    ),
    "RestoreMemories": (
        memory_pb2.RestoreMemoriesRequest(scope=SARAH, to_revision=0, memory_ids=["m1"]),
        lambda request: setattr(request, "to_revision", 1),
    ),
    "AppendRun": (
        session_pb2.AppendRunRequest(scope=SARAH, run=session_pb2.Run(session_id="s1", messages=[said("I sail")])),
        lambda request: setattr(request.run, "session_id", "s2"),
    ),
    "DeleteSession": (
        session_pb2.DeleteSessionRequest(scope=SARAH, session_id="s0"),
        lambda request: setattr(request, "allow_missing", True),
    ),
    "SummarizeSession": (
        session_pb2.SummarizeSessionRequest(scope=SARAH, session_id="s0"),
        lambda request: setattr(request, "session_id", "s2"),
    ),
    "ConsolidateMemories": (
        admin_pb2.ConsolidateMemoriesRequest(scope=SARAH),
        lambda request: request.wait_for_consolidation.FromMilliseconds(1),
    ),
    "ImportMemories": (
        admin_pb2.ImportMemoriesRequest(
            scope=SARAH, records=[admin_pb2.ExportRecord(memory=memory_pb2.Memory(memory_id="m9", text="Sails"))]
        ),
        lambda request: request.records.add(memory=memory_pb2.Memory(memory_id="m8", text="Rows")),
    ),
    "CancelExtraction": (
        extraction_pb2.CancelExtractionRequest(scope=SARAH),
        lambda request: setattr(request, "extraction_id", "e2"),
    ),
    "RetryExtractions": (
        extraction_pb2.RetryExtractionsRequest(scope=SARAH),
        lambda request: request.extraction_ids.append("e2"),
    ),
    "UpdateMemoryConfig": (
        config_pb2.UpdateMemoryConfigRequest(
            settings=config_pb2.MemorySettings(enabled=True), update_mask=FieldMask(paths=["enabled"])
        ),
        lambda request: request.update_mask.paths.append("mode"),
    ),
    "EraseUser": (
        admin_pb2.EraseUserRequest(scope=SARAH),
        lambda request: setattr(request.scope, "namespace", "default"),
    ),
    "ExtractMemories": (
        extraction_pb2.ExtractMemoriesRequest(
            scope=SARAH, messages=extraction_pb2.MessageList(messages=[said("I sail")])
        ),
        lambda request: setattr(request, "agent_id", "other"),
    ),
}


def test_every_write_is_in_the_table() -> None:
    repeatable = {name for name, rpc in RPCS.items() if "request_id" in rpc.request.DESCRIPTOR.fields_by_name}

    assert WRITES.keys() == repeatable


@pytest.fixture
async def prepared(each_server: Harness) -> tuple[Harness, str]:
    """A user with a memory, a session, and an extraction that is held."""
    server = each_server
    memory = memory_pb2.Memory(memory_id="m1", text="Skis")
    await server.memories.CreateMemory(memory_pb2.CreateMemoryRequest(scope=SARAH, memory=memory))
    server.engine.gate.clear()
    run = session_pb2.Run(session_id="s0", messages=[said("I ski")])
    accepted = await server.sessions.AppendRun(session_pb2.AppendRunRequest(scope=SARAH, run=run))
    await server.engine.reading.wait()
    return server, accepted.extraction_id


async def send(server: Harness, name: str, request: Any) -> list[bytes]:
    """Return the replies but the hints among them."""
    rpc = RPCS[name]
    path, raw = f"/{rpc.service}/{rpc.name}", request.SerializeToString()
    if not rpc.streams:
        return [await server.channel.unary_unary(path)(raw, timeout=10)]
    stream = server.channel.unary_stream(path)(raw, timeout=10)
    events = [extraction_pb2.ExtractMemoriesResponse.FromString(reply) async for reply in stream]
    return [each.SerializeToString() for each in events if each.event.resume_token]


@pytest.mark.parametrize("name", WRITES)
async def test_a_repeat_gets_the_first_reply_and_happens_once(prepared: tuple[Harness, str], name: str) -> None:
    server, extraction_id = prepared
    template, change = WRITES[name]
    request: Any = type(template)()
    request.CopyFrom(template)
    request.request_id = new_request_id()
    if name == "CancelExtraction":
        request.extraction_id = extraction_id
    if name in ("ExtractMemories", "DeleteSession"):
        server.engine.gate.set()
    scope = Scope("default", "sarah")

    first = await send(server, name, request)
    revision = (await server.application.users.latest(scope)).revision
    again = await send(server, name, request)

    assert again == first
    assert (await server.application.users.latest(scope)).revision == revision
    change(request)
    failure = await failing(send(server, name, request))
    assert (failure.code, failure.reason, failure.fields) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        "REQUEST_ID_REUSED",
        ("request_id",),
    )


async def test_an_id_may_be_used_for_another_method_too(server: Harness) -> None:
    request_id = new_request_id()
    request = memory_pb2.CreateMemoryRequest(scope=SARAH, memory=memory_pb2.Memory(text="x"), request_id=request_id)
    created = await server.memories.CreateMemory(request)
    deletion = memory_pb2.DeleteMemoryRequest(scope=SARAH, memory_id=created.memory.memory_id, request_id=request_id)
    deleted = await server.memories.DeleteMemory(deletion)

    assert deleted.revision == 2
    assert await server.memories.CreateMemory(request) == created
    assert await server.memories.DeleteMemory(deletion) == deleted


async def test_an_id_in_capitals_is_the_same_one(server: Harness) -> None:
    request = memory_pb2.CreateMemoryRequest(
        scope=SARAH, memory=memory_pb2.Memory(text="x"), request_id=new_request_id()
    )
    created = await server.memories.CreateMemory(request)
    request.request_id = request.request_id.upper()

    assert await server.memories.CreateMemory(request) == created


async def test_a_repeat_is_answered_before_guards_are_looked_at(server: Harness) -> None:
    request = memory_pb2.CreateMemoryRequest(scope=SARAH, memory=memory_pb2.Memory(text="x"))
    await server.memories.CreateMemory(request)
    request.expected_revision, request.request_id = 1, new_request_id()
    first = await server.memories.CreateMemory(request)

    assert await server.memories.CreateMemory(request) == first


async def test_a_failure_is_not_kept(server: Harness) -> None:
    request = memory_pb2.DeleteMemoryRequest(scope=SARAH, memory_id="m1", request_id=new_request_id())
    assert (await failing(server.memories.DeleteMemory(request))).reason == "MEMORY_NOT_FOUND"
    memory = memory_pb2.Memory(memory_id="m1", text="x")
    await server.memories.CreateMemory(memory_pb2.CreateMemoryRequest(scope=SARAH, memory=memory))

    assert (await server.memories.DeleteMemory(request)).revision == 2
