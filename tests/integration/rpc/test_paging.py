from __future__ import annotations

from typing import Any

import grpc
import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from rpc_harness import SARAH, Harness, failing

from memsvc.v1 import common_pb2 as common
from memsvc.v1 import memory_pb2 as pb


async def fill(server: Harness, count: int, text: str = "text", **fields: Any) -> None:
    for start in range(0, count, 100):
        operations = [
            pb.BatchWriteOperation(
                create=pb.CreateOperation(
                    memory=pb.Memory(
                        memory_id=f"m{index:04}", text=text, topics=["odd" if index % 2 else "even"], **fields
                    )
                )
            )
            for index in range(start, min(start + 100, count))
        ]
        await server.memories.BatchWriteMemories(pb.BatchWriteMemoriesRequest(scope=SARAH, operations=operations))


async def pages(server: Harness, request: pb.ListMemoriesRequest) -> list[pb.ListMemoriesResponse]:
    seen = []
    while True:
        page = await server.memories.ListMemories(request)
        seen.append(page)
        request.page_token = page.next_page_token
        if not request.page_token:
            return seen


@pytest.mark.parametrize("order", range(8))
@pytest.mark.parametrize("filtered", [False, True])
async def test_every_memory_is_on_one_page(server: Harness, order: int, filtered: bool) -> None:
    await fill(server, 23)
    wanted = common.MemoryFilter(topics_any=["odd"]) if filtered else None
    request = pb.ListMemoriesRequest(scope=SARAH, order=order, filter=wanted, page_size=4)  # type: ignore[arg-type]
    seen = await pages(server, request)
    ids = [memory.memory_id for page in seen for memory in page.memories]

    expected = [f"m{index:04}" for index in range(23) if not filtered or index % 2]
    assert sorted(ids) == expected
    assert ids == sorted(ids, reverse=order in (0, 1, 3, 5))
    assert {page.total_size for page in seen} == {len(expected)}


async def test_what_does_not_change_while_paging_appears_exactly_once(server: Harness) -> None:
    await fill(server, 20)
    request = pb.ListMemoriesRequest(scope=SARAH, page_size=3)
    seen: list[str] = []
    for step in range(20):
        page = await server.memories.ListMemories(request)
        seen.extend(memory.memory_id for memory in page.memories)
        request.page_token = page.next_page_token
        if not request.page_token:
            break
        await server.memories.CreateMemory(
            pb.CreateMemoryRequest(scope=SARAH, memory=pb.Memory(memory_id=f"new{step}", text="new"))
        )
        if step == 1:
            change = pb.Memory(memory_id="m0019", text="changed")
            await server.memories.UpdateMemory(
                pb.UpdateMemoryRequest(scope=SARAH, memory=change, update_mask=FieldMask(paths=["text"]))
            )
            await server.memories.DeleteMemory(pb.DeleteMemoryRequest(scope=SARAH, memory_id="m0000"))

    assert sorted(seen) == [f"m{index:04}" for index in range(1, 20)]


async def test_large_memories_end_a_page_early(server: Harness) -> None:
    text = "語" * 2700
    await fill(server, 200, text, input=text, metadata={"a": "x" * 4000})
    seen = await pages(server, pb.ListMemoriesRequest(scope=SARAH, page_size=1000))
    found = await server.memories.SearchMemories(
        pb.SearchMemoriesRequest(scope=SARAH, method=pb.SEARCH_METHOD_LAST_N, top_k=100)
    )

    assert len(seen) == 2
    assert all(page.ByteSize() <= (3 << 20) + 1000 for page in seen)
    assert sorted(memory.memory_id for page in seen for memory in page.memories) == [f"m{i:04}" for i in range(200)]
    assert found.ByteSize() <= (3 << 20) + 1000


async def test_large_commits_end_a_page_of_changes_early(server: Harness) -> None:
    await fill(server, 400, "x" * 8000)
    request = pb.ListMemoryChangesRequest(scope=SARAH)
    revisions, sizes = [], []
    while True:
        page = await server.memories.ListMemoryChanges(request)
        revisions.append([commit.revision for commit in page.commits])
        sizes.append(page.ByteSize())
        request.page_token = page.next_page_token
        if not request.page_token:
            break

    assert revisions == [[4, 3, 2], [1]]
    assert max(sizes) < 3 << 20


async def test_a_token_of_another_request_is_refused(server: Harness) -> None:
    await fill(server, 10)
    other = common.Scope(user_id="bob")
    wanted = common.MemoryFilter(topics_any=["odd"])
    first = await server.memories.ListMemories(pb.ListMemoriesRequest(scope=SARAH, page_size=2))
    token = first.next_page_token
    foreign = [
        server.memories.ListMemories(pb.ListMemoriesRequest(scope=other, page_token=token)),
        server.memories.ListMemories(pb.ListMemoriesRequest(scope=SARAH, filter=wanted, page_token=token)),
        server.memories.ListMemories(pb.ListMemoriesRequest(scope=SARAH, order=pb.MEMORY_ORDER_KEY, page_token=token)),
        server.memories.ListTopics(pb.ListTopicsRequest(scope=SARAH, page_token=token)),
        server.memories.ListMemoryChanges(pb.ListMemoryChangesRequest(scope=SARAH, page_token=token)),
    ]
    for call in foreign:
        failure = await failing(call)
        assert (failure.code, failure.reason, failure.fields) == (
            grpc.StatusCode.INVALID_ARGUMENT,
            "TOKEN_MISMATCH",
            ("page_token",),
        )
    larger = await server.memories.ListMemories(pb.ListMemoriesRequest(scope=SARAH, page_size=100, page_token=token))
    assert len(larger.memories) == 8


async def test_a_filter_binds_by_what_it_says_not_by_the_order_of_its_map(server: Harness) -> None:
    await fill(server, 6, metadata={str(index): "x" for index in range(8)})
    one, other = pb.ListMemoriesRequest(scope=SARAH, page_size=2), pb.ListMemoriesRequest(scope=SARAH, page_size=2)
    for index in range(8):
        one.filter.metadata[str(index)] = "x"
        other.filter.metadata[str(7 - index)] = "x"
    other.page_token = (await server.memories.ListMemories(one)).next_page_token

    assert len((await server.memories.ListMemories(other)).memories) == 2
