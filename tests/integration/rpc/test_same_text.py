"""The same text added twice is one memory, where the caller asks for that."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from rpc_harness import SARAH, Harness, new_request_id

from memsvc.model import Scope
from memsvc.v1 import common_pb2 as common
from memsvc.v1 import memory_pb2 as pb

Change = Callable[[Harness, pb.Memory], Awaitable[None]]


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


@pytest.mark.parametrize(
    ("text", "other"), [("バスで通う", "パスで通う"), ("Чай", "Чаи"), ("कल", "काल"), ("Likes 🍕", "Likes 🍔")]
)
async def test_a_mark_that_makes_another_letter_is_no_accent(server: Harness, text: str, other: str) -> None:
    first = await add(server, text)

    assert (await add(server, other)).memory_id != first.memory_id
    assert (await add(server, text)).memory_id == first.memory_id


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


async def add_many(server: Harness) -> None:
    for part in range(2):
        creates = [
            pb.BatchWriteOperation(create=pb.CreateOperation(memory=pb.Memory(text=f"Likes song {part} {number}")))
            for number in range(100)
        ]
        await server.memories.BatchWriteMemories(pb.BatchWriteMemoriesRequest(scope=SARAH, operations=creates))


async def test_among_many_memories_the_same_words_are_found_where_they_stand_now(each_server: Harness) -> None:
    memories = each_server.memories
    await add_many(each_server)
    first = await add(each_server, "Skis at Tahoe")
    assert (await add(each_server, "skis at tahoe.")).memory_id == first.memory_id

    changed = pb.Memory(memory_id=first.memory_id, text="Skis at Kirkwood")
    mask = FieldMask(paths=["text"])
    await memories.UpdateMemory(pb.UpdateMemoryRequest(scope=SARAH, memory=changed, update_mask=mask))
    assert (await add(each_server, "skis at kirkwood")).memory_id == first.memory_id
    other = await add(each_server, "Skis at Tahoe")
    assert other.memory_id != first.memory_id

    await memories.DeleteMemory(pb.DeleteMemoryRequest(scope=SARAH, memory_id=other.memory_id))
    assert (await add(each_server, "Skis at Tahoe")).memory_id not in (first.memory_id, other.memory_id)
    twice = await asyncio.gather(add(each_server, "Swims"), add(each_server, "swims!"))
    assert twice[0].memory_id == twice[1].memory_id


async def change_topics(server: Harness, memory: pb.Memory) -> None:
    await update(server, pb.Memory(memory_id=memory.memory_id, topics=["snow"]), "topics")


async def change_text_and_back(server: Harness, memory: pb.Memory) -> None:
    for text in ("Sails", memory.text):
        await update(server, pb.Memory(memory_id=memory.memory_id, text=text), "text")


async def delete_and_restore(server: Harness, memory: pb.Memory) -> None:
    deleted = await server.memories.DeleteMemory(pb.DeleteMemoryRequest(scope=SARAH, memory_id=memory.memory_id))
    request = pb.RestoreMemoriesRequest(scope=SARAH, revert_revision=deleted.revision)
    await server.memories.RestoreMemories(request)


async def update(server: Harness, memory: pb.Memory, path: str) -> None:
    request = pb.UpdateMemoryRequest(scope=SARAH, memory=memory, update_mask=FieldMask(paths=[path]))
    await server.memories.UpdateMemory(request)


@pytest.mark.parametrize("change", [change_topics, change_text_and_back, delete_and_restore])
async def test_of_several_that_say_it_the_first_is_found_whatever_became_of_it(server: Harness, change: Change) -> None:
    await add_many(server)
    first, second = [await add(server, "Skis at Tahoe", merge=False) for _ in range(2)]
    assert (await add(server, "Skis at Tahoe")).memory_id == first.memory_id
    await change(server, first)
    in_memory = (await add(server, "Skis at Tahoe")).memory_id
    server.application.users.forget(Scope("default", "sarah"))
    read_anew = (await add(server, "Skis at Tahoe")).memory_id

    assert second.memory_id != first.memory_id == in_memory == read_anew
