"""Every RPC needs what the table of rights says, and says no to everybody else in one way."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from callers import Callers, Metadata
from rpc_harness import Failure, Harness, failure_of, served
from valid_requests import RPCS, VALID

from memsvc.access.rights import NEEDS
from memsvc.model import READING_TOOLS, ToolName
from memsvc.storage.driver import Driver
from memsvc.tools.catalog import tools_for
from memsvc.tools.permissions import Permissions
from memsvc.v1 import common_pb2, context_pb2, extraction_pb2, memory_pb2, tool_pb2

READ, WRITE, ADMIN, NONE = "read", "write", "admin", ""
EXPECTED = {
    "CreateMemory": WRITE,
    "BatchWriteMemories": WRITE,
    "GetMemory": READ,
    "UpdateMemory": WRITE,
    "DeleteMemory": WRITE,
    "ListMemories": READ,
    "SearchMemories": READ,
    "ClearMemories": WRITE,
    "RestoreMemories": WRITE,
    "GetUserMemory": READ,
    "ListTopics": READ,
    "ListMemoryChanges": READ,
    "WatchMemories": READ,
    "AppendRun": WRITE,
    "ListRuns": READ,
    "GetHistory": READ,
    "SearchHistory": READ,
    "SummarizeSession": WRITE,
    "GetSession": READ,
    "ListSessions": READ,
    "DeleteSession": WRITE,
    "ExtractMemories": WRITE,
    "WatchExtraction": READ,
    "GetExtraction": READ,
    "ListExtractions": READ,
    "ObserveConversation": WRITE,
    "CancelExtraction": WRITE,
    "RetryExtractions": WRITE,
    "CompileContext": READ,
    "ListTools": READ,
    "CallTool": READ,  # of a tool that reads, as the valid request does
    "ListUsers": ADMIN,
    "GetMemoryConfig": READ,
    "UpdateMemoryConfig": ADMIN,
    "GetStats": READ,
    "ExportUser": READ,
    "ImportMemories": WRITE,
    "ConsolidateMemories": WRITE,
    "EraseUser": ADMIN,
    "EraseNamespace": ADMIN,
    "GetServerInfo": NONE,
}
"""One row for each RPC: the right that it needs."""

TOOLS = {
    "save_memory": WRITE,
    "update_memory": WRITE,
    "forget": WRITE,
    "update_user_memory": WRITE,
    "search_memories": READ,
    "get_memories": READ,
    "read_chat_history": READ,
    "search_history": READ,
    "no_such_tool": WRITE,
    "": WRITE,
}
"""One row for each tool: the right that a call of it needs."""

REFUSALS = (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED)
SUBSETS = [rights for count in range(1, 4) for rights in itertools.combinations((READ, WRITE, ADMIN), count)]
ABOUT_A_USER = sorted(name for name, rpc in RPCS.items() if "scope" in rpc.request.DESCRIPTOR.fields_by_name)


@pytest.fixture
def callers(folder: Path) -> Callers:
    return Callers(folder)


@pytest.fixture
async def guarded(driver: Driver, folder: Path, callers: Callers) -> AsyncIterator[Harness]:
    async with served(driver, folder, tokens_file=str(callers.path)) as harness:
        yield harness


async def outcome(harness: Harness, name: str, request: Any, metadata: Metadata = ()) -> Failure | None:
    """Send a request and return how it failed; of a stream the first event is enough."""
    rpc = RPCS[name]
    opened = harness.channel.unary_stream if rpc.streams else harness.channel.unary_unary
    call = opened(f"/{rpc.service}/{name}", request_serializer=rpc.request.SerializeToString)(
        request, metadata=metadata, timeout=30
    )
    try:
        await (call.read() if rpc.streams else call)
    except grpc.aio.AioRpcError as error:
        return failure_of(error)
    finally:
        call.cancel()
    return None


def is_refused(failure: Failure | None) -> bool:
    return failure is not None and failure.code in REFUSALS


def of_user(name: str, namespace: str, user_id: str) -> Any:
    request = type(VALID[name])()
    request.CopyFrom(VALID[name])
    request.scope.CopyFrom(common_pb2.Scope(namespace=namespace, user_id=user_id))
    return request


def test_every_rpc_has_one_row() -> None:
    assert set(EXPECTED) == set(RPCS) == {row.partition("/")[2] for row in NEEDS}
    assert {f"{rpc.service.rpartition('.')[2]}/{name}" for name, rpc in RPCS.items()} == set(NEEDS)


@pytest.mark.parametrize("name", sorted(EXPECTED))
async def test_an_rpc_needs_its_right_and_no_other(name: str, guarded: Harness, callers: Callers) -> None:
    for rights in SUBSETS:
        failure = await outcome(guarded, name, VALID[name], callers.metadata(*rights))
        allowed = EXPECTED[name] in (NONE, *rights)
        assert is_refused(failure) is not allowed, f"{name} with {rights}: {failure}"
        if failure is not None and not allowed:
            assert (failure.code, failure.reason) == (grpc.StatusCode.PERMISSION_DENIED, "PERMISSION_DENIED")


def test_every_tool_has_one_row() -> None:
    assert {tool.value for tool in ToolName} | {"no_such_tool", ""} == set(TOOLS)
    listed = tools_for(Permissions(), ())
    assert {tool.name for tool in listed if tool.read_only} == READING_TOOLS
    assert {tool.name.value for tool in listed if TOOLS[tool.name] == READ} == {tool.value for tool in READING_TOOLS}


@pytest.mark.parametrize("tool", sorted(TOOLS))
async def test_a_call_of_a_tool_needs_the_tools_right_and_no_other(
    tool: str, guarded: Harness, callers: Callers
) -> None:
    for rights in SUBSETS:
        request = tool_pb2.CallToolRequest(scope=VALID["CallTool"].scope, name=tool)
        failure = await outcome(guarded, "CallTool", request, callers.metadata(*rights))
        assert is_refused(failure) is (TOOLS[tool] not in rights), f"{tool} with {rights}: {failure}"


async def test_a_reader_learns_by_no_tool_what_there_is_of_others(guarded: Harness, callers: Callers) -> None:
    everything = callers.metadata()
    await outcome(guarded, "CreateMemory", of_user("CreateMemory", "support", "staff-1"), everything)
    reader = callers.metadata("read", namespaces=("support",), users=("cust-*",))
    for tool in sorted(TOOLS):
        refused = []
        for user in ("staff-1", "staff-2"):
            scope = common_pb2.Scope(namespace="support", user_id=user)
            refused.append(await outcome(guarded, "CallTool", tool_pb2.CallToolRequest(scope=scope, name=tool), reader))
        assert is_refused(refused[0])
        assert refused[0] == refused[1]


async def test_a_caller_is_offered_the_tools_that_it_may_call(guarded: Harness, callers: Callers) -> None:
    request = tool_pb2.ListToolsRequest(scope=VALID["ListTools"].scope)
    request.settings.mode = common_pb2.LEARNING_MODE_BOTH
    offered = {}
    for rights in (("read",), ("read", "write")):
        reply = await guarded.tools.ListTools(request, metadata=callers.metadata(*rights))
        offered[rights] = {tool.name for tool in reply.tools}
    assert offered["read",] == {tool.value for tool in READING_TOOLS}
    assert offered["read", "write"] == {tool.value for tool in ToolName}


@pytest.mark.parametrize("name", sorted(EXPECTED))
async def test_an_rpc_needs_to_know_its_caller(name: str, guarded: Harness, callers: Callers) -> None:
    token = callers.token()
    wrong = f"{token[:-1]}{'0' if token[-1] != '0' else '1'}"
    for given in ((), (("authorization", f"Bearer {wrong}"),), (("authorization", f"Basic {token}"),)):
        failure = await outcome(guarded, name, VALID[name], given)
        assert failure is not None
        assert (failure.code, failure.reason) == (grpc.StatusCode.UNAUTHENTICATED, "UNAUTHENTICATED")


@pytest.mark.parametrize("name", ABOUT_A_USER)
async def test_other_namespaces_and_users_are_refused_alike_whether_they_exist_or_not(
    name: str, guarded: Harness, callers: Callers
) -> None:
    everything = callers.metadata()
    await outcome(guarded, "CreateMemory", of_user("CreateMemory", "other", "cust-1"), everything)
    await outcome(guarded, "CreateMemory", of_user("CreateMemory", "support", "staff-1"), everything)
    bound = callers.metadata(namespaces=("support",), users=("cust-*",))
    places = [("other", "cust-1"), ("other", "cust-2"), ("nowhere", "cust-1")]
    refused = [await outcome(guarded, name, of_user(name, *place), bound) for place in places]
    assert refused[0] is not None
    assert refused[0].code is grpc.StatusCode.PERMISSION_DENIED
    assert refused[1:] == refused[:1] * 2
    staff = [await outcome(guarded, name, of_user(name, "support", user), bound) for user in ("staff-1", "staff-2")]
    assert staff[0] is not None
    assert staff[0].code is grpc.StatusCode.PERMISSION_DENIED
    assert staff[0] == staff[1]
    assert not is_refused(await outcome(guarded, name, of_user(name, "support", "cust-1"), bound))


async def test_an_empty_namespace_is_the_callers_only_one(guarded: Harness, callers: Callers) -> None:
    bound, several = callers.metadata(namespaces=("support",)), callers.metadata(namespaces=("support", "default"))
    await guarded.memories.CreateMemory(VALID["CreateMemory"], metadata=bound)
    listed = await guarded.memories.ListMemories(of_user("ListMemories", "support", "sarah"), metadata=several)
    assert [memory.scope.namespace for memory in listed.memories] == ["support"]
    users = await guarded.admin.ListUsers(VALID["ListUsers"], metadata=bound)
    assert list(users.user_ids) == ["sarah"]
    assert not (await guarded.memories.ListMemories(VALID["ListMemories"], metadata=several)).memories


async def test_shared_users_need_the_right_to_them(guarded: Harness, callers: Callers) -> None:
    bound = callers.metadata("read", users=("sarah", "team:*"))
    for shared, allowed in ((["team:a"], True), (["team:a", "ben"], False), (["ben"], False)):
        for name, kind in (
            ("SearchMemories", memory_pb2.SearchMemoriesRequest),
            ("CompileContext", context_pb2.CompileContextRequest),
        ):
            request = kind(scope=common_pb2.Scope(user_id="sarah"), query="skis", shared_user_ids=shared)
            assert is_refused(await outcome(guarded, name, request, bound)) is not allowed


async def test_what_concerns_all_users_needs_the_right_to_all_of_them(guarded: Harness, callers: Callers) -> None:
    everybody = extraction_pb2.RetryExtractionsRequest(all_users=True)
    assert is_refused(await outcome(guarded, "RetryExtractions", everybody, callers.metadata("write")))
    assert not is_refused(await outcome(guarded, "RetryExtractions", everybody, callers.metadata("admin")))
    some = callers.metadata("read", "write", "admin", users=("cust-*",))
    assert is_refused(await outcome(guarded, "RetryExtractions", everybody, some))
    assert is_refused(await outcome(guarded, "ListUsers", VALID["ListUsers"], some))


async def test_a_request_without_a_user_is_malformed_and_not_forbidden(guarded: Harness, callers: Callers) -> None:
    bound = callers.metadata("read", users=("cust-*",))
    failure = await outcome(guarded, "GetMemory", memory_pb2.GetMemoryRequest(memory_id="m1"), bound)
    assert failure is not None
    assert (failure.code, failure.fields) == (grpc.StatusCode.INVALID_ARGUMENT, ("scope.user_id",))


async def test_health_and_reflection_need_no_token(guarded: Harness) -> None:
    health = guarded.channel.unary_unary("/grpc.health.v1.Health/Check")
    assert await health(b"", timeout=30) == b"\x08\x01"
