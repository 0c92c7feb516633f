from __future__ import annotations

import asyncio
import inspect
import re
from collections.abc import Iterator

import grpc
import pytest
from fake_memory_service import Running

import memsvc_client
from memsvc.v1 import admin_pb2, config_pb2, context_pb2, extraction_pb2, memory_pb2, session_pb2, tool_pb2
from memsvc_client import (
    AlreadyExists,
    AsyncExtractions,
    AsyncMemories,
    AsyncMemoryClient,
    AsyncUser,
    Extractions,
    Memories,
    MemoryClient,
    NotFound,
    Unavailable,
    User,
    rpcs,
)


def public_methods(kind: type) -> Iterator[tuple[str, str]]:
    for name, member in inspect.getmembers(kind, callable):
        if not name.startswith("_"):
            yield name, str(inspect.signature(member)).replace("Async", "")


@pytest.mark.parametrize(
    ("blocking", "asynchronous"),
    [(MemoryClient, AsyncMemoryClient), (User, AsyncUser), (Memories, AsyncMemories), (Extractions, AsyncExtractions)],
)
def test_both_clients_have_the_same_methods_with_the_same_signatures(blocking: type, asynchronous: type) -> None:
    awaited = {
        name: re.sub(r"-> '(?:Awaitable\[(.*)\]|Async(.*))'", r"-> '\1\2'", signature)
        for name, signature in public_methods(asynchronous)
    }
    assert dict(public_methods(blocking)) == awaited
    assert all(member.__doc__ for name, member in inspect.getmembers(blocking, callable) if not name.startswith("_"))


def test_every_method_shows_its_own_arguments() -> None:
    assert str(inspect.signature(User.history)).startswith("(self, session_id: 'str', *, last_runs: 'int' = 10")


def test_every_method_shows_what_it_answers() -> None:
    methods = (User.history, Memories.list, User.watch, AsyncUser.history, AsyncMemories.list, AsyncUser.watch)
    assert [inspect.signature(each).return_annotation for each in methods] == [
        "History",
        "Listing[Memory]",
        "Iterator[WatchEvent]",
        "Awaitable[History]",
        "AsyncListing[Memory]",
        "AsyncIterator[WatchEvent]",
    ]


def test_all_that_is_exported_exists() -> None:
    assert all(hasattr(memsvc_client, name) for name in memsvc_client.__all__)


def test_the_client_knows_every_rpc_of_the_api() -> None:
    known = {rpc.path: rpc for rpc in vars(rpcs).values() if isinstance(rpc, rpcs.Rpc)}
    offered = {
        f"/{service.full_name}/{method.name}": method
        for file in (memory_pb2, session_pb2, extraction_pb2, context_pb2, config_pb2, tool_pb2, admin_pb2)
        for service in file.DESCRIPTOR.services_by_name.values()
        for method in service.methods
    }
    assert set(known) == set(offered)
    for path, method in offered.items():
        assert known[path].request.DESCRIPTOR is method.input_type
        assert known[path].reply.DESCRIPTOR is method.output_type
        assert (path in rpcs.STREAMING) == method.server_streaming


async def test_the_lines_of_the_quick_start_work_with_await(running: Running) -> None:
    async with AsyncMemoryClient(running.target) as client:
        sarah = client.user("sarah", agent_id="support")
        await sarah.append_run(session_id="s1", messages=[("user", "Hi"), ("assistant", "Hello")])
        memory_id = await sarah.memories.add("Skis at Tahoe", topics=["hobbies"])
        assert (await sarah.context(query="How do I clean data?")).text == "Skis at Tahoe\n"
        await sarah.memories.replace(memory_id, "Skis at Kirkwood")
        hits = await sarah.memories.search("where skis")
        latest = await sarah.memories.search(method="last_n", limit=1)
        listed = [memory.memory async for memory in sarah.memories.list(page_size=1)]
        document = await sarah.get()
        history = await sarah.history("s1", last_runs=3)
        await sarah.memories.delete(memory_id)
        assert await sarah.get() is None

    assert [hit.memory_id for hit in hits] == [hit.memory_id for hit in latest] == [memory_id]
    assert listed == ["Skis at Kirkwood"]
    assert document is not None
    assert [message["role"] for message in history] == ["user", "assistant"]


async def test_async_errors_are_the_same_errors(running: Running) -> None:
    async with AsyncMemoryClient(running.target) as client:
        memories = client.user("sarah").memories
        await memories.add("Is an engineer", layer="profile", key="role")
        with pytest.raises(AlreadyExists) as raised:
            await memories.add("Is a doctor", layer="profile", key="role")
        assert raised.value.reason == "KEY_TAKEN"
        with pytest.raises(NotFound):
            await memories.get("nothing")
        with pytest.raises(ValueError, match="nothing to update"):
            memories.update("m-1")


async def test_an_async_write_is_sent_again_with_its_request_id(running: Running) -> None:
    running.service.faults.lose_reply["CreateMemory"] = 1
    async with AsyncMemoryClient(running.target) as client:
        await client.user("sarah").memories.add("Likes tea")
    sent = [call.request.request_id for call in running.service.received("CreateMemory")]
    assert len(sent) == 2
    assert len(set(sent)) == 1


async def test_many_calls_share_one_connection(running: Running) -> None:
    client = AsyncMemoryClient(running.target)
    memories = client.user("sarah").memories
    ids = await asyncio.gather(*(memories.add(f"Fact {number}") for number in range(20)))
    assert len(set(ids)) == 20
    await client.close()


async def test_an_async_call_to_nobody_is_unavailable(running: Running) -> None:
    async with AsyncMemoryClient(running.target + ".gone") as client:
        with pytest.raises(Unavailable) as raised:
            await client.server_info()
    assert isinstance(raised.value.__cause__, grpc.RpcError)
