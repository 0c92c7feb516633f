"""One valid request of every RPC, and how to spoil it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message
from rpc_harness import SARAH, said

from memsvc.rpc.services import SERVICES, rpcs
from memsvc.v1 import (
    admin_pb2,
    common_pb2,
    config_pb2,
    context_pb2,
    extraction_pb2,
    memory_pb2,
    session_pb2,
    tool_pb2,
)

RPCS = {rpc.name: rpc for service in SERVICES for rpc in rpcs(service)}
MEMORY = memory_pb2.Memory(memory_id="m1", text="Skis")
MASK = FieldMask(paths=["text"])
RUN = session_pb2.Run(session_id="s1", messages=[said("I ski")])

VALID: dict[str, Message] = {
    "CreateMemory": memory_pb2.CreateMemoryRequest(scope=SARAH, memory=MEMORY),
    "BatchWriteMemories": memory_pb2.BatchWriteMemoriesRequest(
        scope=SARAH,
        operations=[memory_pb2.BatchWriteOperation(create=memory_pb2.CreateOperation(memory=MEMORY))],
    ),
    "GetMemory": memory_pb2.GetMemoryRequest(scope=SARAH, memory_id="m1"),
    "UpdateMemory": memory_pb2.UpdateMemoryRequest(scope=SARAH, memory=MEMORY, update_mask=MASK),
    "DeleteMemory": memory_pb2.DeleteMemoryRequest(scope=SARAH, memory_id="m1"),
    "ListMemories": memory_pb2.ListMemoriesRequest(scope=SARAH),
    "SearchMemories": memory_pb2.SearchMemoriesRequest(scope=SARAH, query="skis"),
    "ClearMemories": memory_pb2.ClearMemoriesRequest(scope=SARAH, filter=common_pb2.MemoryFilter(topics_any=["sport"])),
    "RestoreMemories": memory_pb2.RestoreMemoriesRequest(scope=SARAH, to_revision=0, memory_ids=["m1"]),
    "GetUserMemory": memory_pb2.GetUserMemoryRequest(scope=SARAH),
    "ListTopics": memory_pb2.ListTopicsRequest(scope=SARAH),
    "ListMemoryChanges": memory_pb2.ListMemoryChangesRequest(scope=SARAH),
    "WatchMemories": memory_pb2.WatchMemoriesRequest(scope=SARAH),
    "AppendRun": session_pb2.AppendRunRequest(scope=SARAH, run=RUN),
    "ListRuns": session_pb2.ListRunsRequest(scope=SARAH),
    "GetHistory": session_pb2.GetHistoryRequest(scope=SARAH, session_id="s1"),
    "SearchHistory": session_pb2.SearchHistoryRequest(scope=SARAH, query="skis"),
    "SummarizeSession": session_pb2.SummarizeSessionRequest(scope=SARAH, session_id="s1"),
    "GetSession": session_pb2.GetSessionRequest(scope=SARAH, session_id="s1"),
    "ListSessions": session_pb2.ListSessionsRequest(scope=SARAH),
    "DeleteSession": session_pb2.DeleteSessionRequest(scope=SARAH, session_id="s1"),
    "ExtractMemories": extraction_pb2.ExtractMemoriesRequest(
        scope=SARAH, messages=extraction_pb2.MessageList(messages=[said("I ski")])
    ),
    "WatchExtraction": extraction_pb2.WatchExtractionRequest(scope=SARAH, extraction_id="e1"),
    "ObserveConversation": extraction_pb2.ObserveConversationRequest(
        scope=SARAH, start=extraction_pb2.ObservationStart(session_id="s1")
    ),
    "GetExtraction": extraction_pb2.GetExtractionRequest(scope=SARAH, extraction_id="e1"),
    "ListExtractions": extraction_pb2.ListExtractionsRequest(scope=SARAH),
    "CancelExtraction": extraction_pb2.CancelExtractionRequest(scope=SARAH, extraction_id="e1"),
    "RetryExtractions": extraction_pb2.RetryExtractionsRequest(scope=SARAH),
    "CompileContext": context_pb2.CompileContextRequest(scope=SARAH),
    "GetMemoryConfig": config_pb2.GetMemoryConfigRequest(),
    "UpdateMemoryConfig": config_pb2.UpdateMemoryConfigRequest(
        settings=config_pb2.MemorySettings(enabled=True), update_mask=FieldMask(paths=["enabled"])
    ),
    "ListTools": tool_pb2.ListToolsRequest(scope=SARAH),
    "CallTool": tool_pb2.CallToolRequest(scope=SARAH, name="get_memories"),
    "ListUsers": admin_pb2.ListUsersRequest(),
    "GetStats": admin_pb2.GetStatsRequest(scope=SARAH),
    "ExportUser": admin_pb2.ExportUserRequest(scope=SARAH),
    "ImportMemories": admin_pb2.ImportMemoriesRequest(
        scope=SARAH, records=[admin_pb2.ExportRecord(memory=MEMORY), admin_pb2.ExportRecord(run=RUN)]
    ),
    "EraseNamespace": admin_pb2.EraseNamespaceRequest(namespace="default", confirm_namespace="default"),
    "ConsolidateMemories": admin_pb2.ConsolidateMemoriesRequest(scope=SARAH),
    "EraseUser": admin_pb2.EraseUserRequest(scope=SARAH),
    "GetServerInfo": admin_pb2.GetServerInfoRequest(),
}

Spoil = Callable[[Any], object]


def put(path: str, value: object) -> Spoil:
    """Return what sets the field at a path: `memory.text`, `run.messages.0.role`."""

    def spoil(request: Any) -> None:
        *above, name = path.split(".")
        for each in above:
            request = request[int(each)] if each.isdigit() else getattr(request, each)
        if isinstance(value, (list, tuple)):
            del getattr(request, name)[:]
            getattr(request, name).extend(value)
        elif isinstance(value, dict):
            getattr(request, name).clear()
            getattr(request, name).update(value)
        elif isinstance(value, Message):
            getattr(request, name).CopyFrom(value)
        else:
            setattr(request, name, value)

    return spoil


def without(name: str) -> Spoil:
    return lambda request: request.ClearField(name)
