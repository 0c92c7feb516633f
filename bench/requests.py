"""Requests as bytes, and the users they are about."""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterable, Iterator

import grpc
from google.protobuf.duration_pb2 import Duration

from bench.load import Calls, Load
from bench.processes import Server
from bench.sentences import exchange, memories
from memsvc.v1 import (
    common_pb2,
    context_pb2,
    memory_pb2,
    memory_pb2_grpc,
    message_pb2,
    session_pb2,
)

COMPILE_CONTEXT = "/memsvc.v1.ContextService/CompileContext"
GET_MEMORY = "/memsvc.v1.MemoryService/GetMemory"
LIST_MEMORIES = "/memsvc.v1.MemoryService/ListMemories"
SEARCH_MEMORIES = "/memsvc.v1.MemoryService/SearchMemories"
CREATE_MEMORY = "/memsvc.v1.MemoryService/CreateMemory"
BATCH_WRITE_MEMORIES = "/memsvc.v1.MemoryService/BatchWriteMemories"
APPEND_RUN = "/memsvc.v1.SessionService/AppendRun"
LIST_USERS = "/memsvc.v1.AdminService/ListUsers"
_BATCH = 1_000


def fill(load: Load, server: Server, counts: Iterable[tuple[str, int]]) -> None:
    """Give each user as many memories."""
    requests = [
        request.SerializeToString()
        for number, (user, count) in enumerate(counts)
        for request in _batches(user, count, number)
    ]
    load.send_all(Calls(server.address, BATCH_WRITE_MEMORIES, requests))


def _batches(user: str, count: int, seed: int) -> Iterator[memory_pb2.BatchWriteMemoriesRequest]:
    listed = list(memories(count, seed))
    for start in range(0, count, _BATCH):
        yield memory_pb2.BatchWriteMemoriesRequest(
            scope=scope(user),
            operations=[
                memory_pb2.BatchWriteOperation(create=memory_pb2.CreateOperation(memory=memory))
                for memory in listed[start : start + _BATCH]
            ],
            request_id=str(uuid.uuid4()),
        )


def scope(user: str) -> common_pb2.Scope:
    return common_pb2.Scope(user_id=user)


def contexts(user: str, queries: Iterable[str], *, recall: bool | None = None) -> list[bytes]:
    return [
        context_pb2.CompileContextRequest(scope=scope(user), query=query, recall=recall).SerializeToString()
        for query in queries
    ]


def searches(user: str, queries: Iterable[str]) -> list[bytes]:
    return [
        memory_pb2.SearchMemoriesRequest(scope=scope(user), query=query, top_k=10).SerializeToString()
        for query in queries
    ]


def gets(user: str, memory_ids: Iterable[str], *, stale_seconds: int = 0) -> list[bytes]:
    consistency = common_pb2.Consistency(max_staleness=Duration(seconds=stale_seconds)) if stale_seconds else None
    return [
        memory_pb2.GetMemoryRequest(scope=scope(user), memory_id=memory_id, consistency=consistency).SerializeToString()
        for memory_id in memory_ids
    ]


def creates(users: Iterable[str], seed: int) -> list[bytes]:
    """Return one CreateMemory for each of `users`, in order."""
    listed = list(users)
    return [
        memory_pb2.CreateMemoryRequest(
            scope=scope(user), memory=_keyless(memory), request_id=str(uuid.uuid4())
        ).SerializeToString()
        for user, memory in zip(listed, memories(len(listed), seed), strict=True)
    ]


def _keyless(memory: memory_pb2.Memory) -> memory_pb2.Memory:
    memory.ClearField("key")
    memory.ClearField("value_json")
    return memory


def appends(
    users: Iterable[str],
    seed: int,
    learning: common_pb2.LearningMode.ValueType = common_pb2.LEARNING_MODE_UNSPECIFIED,
) -> list[bytes]:
    """Return one AppendRun for each of `users`, in order: a turn of the user and one of the assistant."""
    source = random.Random(seed)
    return [append(user, exchange(source), learning).SerializeToString() for user in users]


def append(
    user: str,
    said: tuple[str, str],
    learning: common_pb2.LearningMode.ValueType = common_pb2.LEARNING_MODE_UNSPECIFIED,
) -> session_pb2.AppendRunRequest:
    roles = (common_pb2.ROLE_USER, common_pb2.ROLE_ASSISTANT)
    messages = [
        message_pb2.Message(role=role, parts=[message_pb2.Part(text=message_pb2.TextPart(text=text))])
        for role, text in zip(roles, said, strict=True)
    ]
    run = session_pb2.Run(session_id="session-1", messages=messages, agent_id="assistant")
    return session_pb2.AppendRunRequest(
        scope=scope(user), run=run, learning_mode=learning, request_id=str(uuid.uuid4())
    )


def list_first(user: str, page_size: int) -> bytes:
    return memory_pb2.ListMemoriesRequest(scope=scope(user), page_size=page_size).SerializeToString()


def list_pages(server: Server, user: str, page_size: int) -> tuple[list[bytes], list[str]]:
    """Return the requests of a user's pages, the first one first, and the ids of the memories on them."""
    requests, ids = [], []
    with grpc.insecure_channel(server.address, options=[("grpc.default_authority", "localhost")]) as channel:
        stub = memory_pb2_grpc.MemoryServiceStub(channel)
        request = memory_pb2.ListMemoriesRequest(scope=scope(user), page_size=page_size)
        while True:
            requests.append(request.SerializeToString())
            page = stub.ListMemories(request)
            ids += [memory.memory_id for memory in page.memories]
            if not page.next_page_token:
                return requests, ids
            request.page_token = page.next_page_token
