"""The same text added twice is one memory, where the caller asks for that."""

from __future__ import annotations

from datetime import timedelta

import pytest
from google.protobuf.duration_pb2 import Duration
from rpc_harness import SARAH, Harness, new_request_id

from memsvc.v1 import common_pb2 as common
from memsvc.v1 import memory_pb2 as pb


async def add(server: Harness, text: str, *, merge: bool = True, request_id: str = "", **fields: object) -> pb.Memory:
    memory = pb.Memory(text=text, **fields)  # type: ignore[arg-type]
    request = pb.CreateMemoryRequest(scope=SARAH, memory=memory, merge_same_text=merge, request_id=request_id)
    reply: pb.CreateMemoryResponse = await server.memories.CreateMemory(request)
    return reply.memory


@pytest.mark.parametrize("again", ["Skis at Tahoe", "skis at  tahoe.", "SKIS AT TAHOE!", "Skìs at Tahoë"])
async def test_the_same_words_are_one_memory_with_the_topics_of_both(each_server: Harness, again: str) -> None:
    first = await add(each_server, "Skis at Tahoe", topics=["sport"], metadata={"from": "form"})
    second = await add(each_server, again, topics=["winter"], metadata={"seen": "twice"})
    listed = await each_server.memories.ListMemories(pb.ListMemoriesRequest(scope=SARAH))

    assert second.memory_id == first.memory_id
    assert [memory.text for memory in listed.memories] == ["Skis at Tahoe"]
    assert list(second.topics) == ["sport", "winter"]
    assert dict(second.metadata) == {"from": "form", "seen": "twice"}


async def test_other_words_layers_and_feelings_are_other_memories(server: Harness) -> None:
    added = [
        await add(server, "Short answers"),
        await add(server, "Long answers"),
        await add(server, "Short answers", layer=common.LAYER_POLICY),
        await add(server, "Short answers", layer=common.LAYER_FEEDBACK, polarity=common.POLARITY_POSITIVE),
        await add(server, "Short answers", layer=common.LAYER_FEEDBACK, polarity=common.POLARITY_NEGATIVE),
        await add(server, "Short answers", memory_id="mine"),
        await add(server, "Short answers", key="answers"),
        await add(server, "Short answers", merge=False),
    ]

    assert len({memory.memory_id for memory in added}) == len(added)


async def test_what_is_said_again_for_good_does_not_expire(server: Harness) -> None:
    hour = Duration()
    hour.FromTimedelta(timedelta(hours=1))
    await add(server, "Visits Oslo", ttl=hour)
    again = await add(server, "Visits Oslo")

    assert not again.HasField("expire_time")


async def test_a_repeated_request_merges_once(server: Harness) -> None:
    await add(server, "Skis")
    request_id = new_request_id()
    first, second = [await add(server, "Skis", request_id=request_id) for _ in range(2)]

    assert first.etag == second.etag
