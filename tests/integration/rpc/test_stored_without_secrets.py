"""No secret is stored, by whatever way it comes in."""

from __future__ import annotations

from typing import Any

import grpc
from rpc_harness import SARAH, Harness, failing, said

from memsvc.v1 import admin_pb2, memory_pb2, session_pb2
from memsvc.v1 import common_pb2 as common
from memsvc.v1 import extraction_pb2 as pb

SECRET = "My password is hunter2 and I ski"


async def stored_text(server: Harness) -> str:
    memories = await server.memories.ListMemories(memory_pb2.ListMemoriesRequest(scope=SARAH))
    runs = await server.sessions.ListRuns(session_pb2.ListRunsRequest(scope=SARAH))
    changes = await server.memories.ListMemoryChanges(memory_pb2.ListMemoryChangesRequest(scope=SARAH))
    return f"{memories} {runs} {changes}"


async def test_what_is_said_is_stored_and_learned_without_its_secrets(each_server: Harness) -> None:
    run = session_pb2.Run(session_id="s1", messages=[said(SECRET)])
    wait = {"seconds": 20}
    request = session_pb2.AppendRunRequest(scope=SARAH, run=run, wait_for_learning=wait)
    await each_server.sessions.AppendRun(request)
    messages = pb.MessageList(messages=[said("My card is 4111 1111 1111 1111 and I sail")])
    stream = each_server.extractions.ExtractMemories(pb.ExtractMemoriesRequest(scope=SARAH, messages=messages))
    events = [reply.event async for reply in stream]
    text = await stored_text(each_server)
    info = await each_server.admin.GetServerInfo(admin_pb2.GetServerInfoRequest())

    assert "hunter2" not in text
    assert "4111" not in text + str(events)
    assert "My password is [redacted: password] and I ski" in text
    assert "[redacted: card_number]" in text
    assert {each.kind: each.count for each in info.redactions} == {"password": 1, "card_number": 1}


async def test_a_preview_shows_no_model_a_secret(server: Harness) -> None:
    messages = pb.MessageList(messages=[said(SECRET)])
    request = pb.ExtractMemoriesRequest(scope=SARAH, messages=messages, validate_only=True)
    events = [reply.event async for reply in server.extractions.ExtractMemories(request)]
    assert "hunter2" not in str(events)
    assert "[redacted: password]" in str(events)


async def test_memories_are_written_without_secrets(each_server: Harness) -> None:
    secret: Any = {"text": "The wifi password is hunter2", "layer": common.LAYER_KNOWLEDGE, "input": SECRET}
    memory = memory_pb2.Memory(memory_id="m1", **secret)
    created = await each_server.memories.CreateMemory(memory_pb2.CreateMemoryRequest(scope=SARAH, memory=memory))
    update = memory_pb2.UpdateMemoryRequest(
        scope=SARAH, memory=memory_pb2.Memory(memory_id="m1", text="PIN: 4711"), update_mask={"paths": ["text"]}
    )
    await each_server.memories.UpdateMemory(update)
    text = f"{created} {await stored_text(each_server)}"

    assert "hunter2" not in text
    assert "4711" not in text
    assert "The wifi password is [redacted: password]" in text


async def test_what_is_too_long_without_its_secrets_is_refused_and_not_stored(server: Harness) -> None:
    text = "My password is hunter2. ".ljust(8 * 1024, "x")
    memory = memory_pb2.Memory(text=text)
    create = memory_pb2.CreateMemoryRequest(scope=SARAH, memory=memory)
    operation = memory_pb2.BatchWriteOperation()
    operation.create.memory.CopyFrom(memory)
    batch = memory_pb2.BatchWriteMemoriesRequest(scope=SARAH, operations=[operation])

    for call, field in (
        (server.memories.CreateMemory(create), "memory.text"),
        (server.memories.BatchWriteMemories(batch), "operations[0].create.memory.text"),
    ):
        failure = await failing(call)
        assert (failure.code, failure.fields) == (grpc.StatusCode.INVALID_ARGUMENT, (field,))
    create.memory.text = text[:-20]
    await server.memories.CreateMemory(create)
    assert "hunter2" not in await stored_text(server)
