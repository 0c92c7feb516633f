"""The RPCs that this client calls: where each one is, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from google.protobuf.message import Message

from memsvc.v1 import admin_pb2, config_pb2, context_pb2, extraction_pb2, memory_pb2, session_pb2, tool_pb2

Request = TypeVar("Request", bound=Message)
Reply = TypeVar("Reply", bound=Message)


@dataclass(frozen=True, slots=True)
class Rpc(Generic[Request, Reply]):
    """One RPC: `/package.Service/Method`."""

    path: str
    request: type[Request]
    reply: type[Reply]


_MEMORIES = "/memsvc.v1.MemoryService/"
_SESSIONS = "/memsvc.v1.SessionService/"
_EXTRACTIONS = "/memsvc.v1.ExtractionService/"
_CONTEXTS = "/memsvc.v1.ContextService/"
_TOOLS = "/memsvc.v1.ToolService/"
_CONFIGS = "/memsvc.v1.ConfigService/"
_ADMIN = "/memsvc.v1.AdminService/"

CREATE_MEMORY = Rpc(_MEMORIES + "CreateMemory", memory_pb2.CreateMemoryRequest, memory_pb2.CreateMemoryResponse)
BATCH_WRITE_MEMORIES = Rpc(
    _MEMORIES + "BatchWriteMemories", memory_pb2.BatchWriteMemoriesRequest, memory_pb2.BatchWriteMemoriesResponse
)
GET_MEMORY = Rpc(_MEMORIES + "GetMemory", memory_pb2.GetMemoryRequest, memory_pb2.GetMemoryResponse)
UPDATE_MEMORY = Rpc(_MEMORIES + "UpdateMemory", memory_pb2.UpdateMemoryRequest, memory_pb2.UpdateMemoryResponse)
DELETE_MEMORY = Rpc(_MEMORIES + "DeleteMemory", memory_pb2.DeleteMemoryRequest, memory_pb2.DeleteMemoryResponse)
LIST_MEMORIES = Rpc(_MEMORIES + "ListMemories", memory_pb2.ListMemoriesRequest, memory_pb2.ListMemoriesResponse)
SEARCH_MEMORIES = Rpc(_MEMORIES + "SearchMemories", memory_pb2.SearchMemoriesRequest, memory_pb2.SearchMemoriesResponse)
CLEAR_MEMORIES = Rpc(_MEMORIES + "ClearMemories", memory_pb2.ClearMemoriesRequest, memory_pb2.ClearMemoriesResponse)
RESTORE_MEMORIES = Rpc(
    _MEMORIES + "RestoreMemories", memory_pb2.RestoreMemoriesRequest, memory_pb2.RestoreMemoriesResponse
)
GET_USER_MEMORY = Rpc(_MEMORIES + "GetUserMemory", memory_pb2.GetUserMemoryRequest, memory_pb2.GetUserMemoryResponse)
LIST_TOPICS = Rpc(_MEMORIES + "ListTopics", memory_pb2.ListTopicsRequest, memory_pb2.ListTopicsResponse)
LIST_MEMORY_CHANGES = Rpc(
    _MEMORIES + "ListMemoryChanges", memory_pb2.ListMemoryChangesRequest, memory_pb2.ListMemoryChangesResponse
)
WATCH_MEMORIES = Rpc(_MEMORIES + "WatchMemories", memory_pb2.WatchMemoriesRequest, memory_pb2.WatchMemoriesResponse)

APPEND_RUN = Rpc(_SESSIONS + "AppendRun", session_pb2.AppendRunRequest, session_pb2.AppendRunResponse)
LIST_RUNS = Rpc(_SESSIONS + "ListRuns", session_pb2.ListRunsRequest, session_pb2.ListRunsResponse)
SEARCH_HISTORY = Rpc(_SESSIONS + "SearchHistory", session_pb2.SearchHistoryRequest, session_pb2.SearchHistoryResponse)
GET_HISTORY = Rpc(_SESSIONS + "GetHistory", session_pb2.GetHistoryRequest, session_pb2.GetHistoryResponse)
SUMMARIZE_SESSION = Rpc(
    _SESSIONS + "SummarizeSession", session_pb2.SummarizeSessionRequest, session_pb2.SummarizeSessionResponse
)
GET_SESSION = Rpc(_SESSIONS + "GetSession", session_pb2.GetSessionRequest, session_pb2.GetSessionResponse)
LIST_SESSIONS = Rpc(_SESSIONS + "ListSessions", session_pb2.ListSessionsRequest, session_pb2.ListSessionsResponse)
DELETE_SESSION = Rpc(_SESSIONS + "DeleteSession", session_pb2.DeleteSessionRequest, session_pb2.DeleteSessionResponse)

EXTRACT_MEMORIES = Rpc(
    _EXTRACTIONS + "ExtractMemories", extraction_pb2.ExtractMemoriesRequest, extraction_pb2.ExtractMemoriesResponse
)
OBSERVE_CONVERSATION = Rpc(
    _EXTRACTIONS + "ObserveConversation",
    extraction_pb2.ObserveConversationRequest,
    extraction_pb2.ObserveConversationResponse,
)
WATCH_EXTRACTION = Rpc(
    _EXTRACTIONS + "WatchExtraction", extraction_pb2.WatchExtractionRequest, extraction_pb2.WatchExtractionResponse
)
GET_EXTRACTION = Rpc(
    _EXTRACTIONS + "GetExtraction", extraction_pb2.GetExtractionRequest, extraction_pb2.GetExtractionResponse
)
LIST_EXTRACTIONS = Rpc(
    _EXTRACTIONS + "ListExtractions", extraction_pb2.ListExtractionsRequest, extraction_pb2.ListExtractionsResponse
)
CANCEL_EXTRACTION = Rpc(
    _EXTRACTIONS + "CancelExtraction", extraction_pb2.CancelExtractionRequest, extraction_pb2.CancelExtractionResponse
)
RETRY_EXTRACTIONS = Rpc(
    _EXTRACTIONS + "RetryExtractions", extraction_pb2.RetryExtractionsRequest, extraction_pb2.RetryExtractionsResponse
)

COMPILE_CONTEXT = Rpc(
    _CONTEXTS + "CompileContext", context_pb2.CompileContextRequest, context_pb2.CompileContextResponse
)

LIST_TOOLS = Rpc(_TOOLS + "ListTools", tool_pb2.ListToolsRequest, tool_pb2.ListToolsResponse)
CALL_TOOL = Rpc(_TOOLS + "CallTool", tool_pb2.CallToolRequest, tool_pb2.CallToolResponse)

GET_MEMORY_CONFIG = Rpc(
    _CONFIGS + "GetMemoryConfig", config_pb2.GetMemoryConfigRequest, config_pb2.GetMemoryConfigResponse
)
UPDATE_MEMORY_CONFIG = Rpc(
    _CONFIGS + "UpdateMemoryConfig", config_pb2.UpdateMemoryConfigRequest, config_pb2.UpdateMemoryConfigResponse
)

LIST_USERS = Rpc(_ADMIN + "ListUsers", admin_pb2.ListUsersRequest, admin_pb2.ListUsersResponse)
EXPORT_USER = Rpc(_ADMIN + "ExportUser", admin_pb2.ExportUserRequest, admin_pb2.ExportUserResponse)
IMPORT_MEMORIES = Rpc(_ADMIN + "ImportMemories", admin_pb2.ImportMemoriesRequest, admin_pb2.ImportMemoriesResponse)
ERASE_NAMESPACE = Rpc(_ADMIN + "EraseNamespace", admin_pb2.EraseNamespaceRequest, admin_pb2.EraseNamespaceResponse)
GET_STATS = Rpc(_ADMIN + "GetStats", admin_pb2.GetStatsRequest, admin_pb2.GetStatsResponse)
CONSOLIDATE_MEMORIES = Rpc(
    _ADMIN + "ConsolidateMemories", admin_pb2.ConsolidateMemoriesRequest, admin_pb2.ConsolidateMemoriesResponse
)
ERASE_USER = Rpc(_ADMIN + "EraseUser", admin_pb2.EraseUserRequest, admin_pb2.EraseUserResponse)
GET_SERVER_INFO = Rpc(_ADMIN + "GetServerInfo", admin_pb2.GetServerInfoRequest, admin_pb2.GetServerInfoResponse)

STREAMING = frozenset({WATCH_MEMORIES.path, EXTRACT_MEMORIES.path, WATCH_EXTRACTION.path, OBSERVE_CONVERSATION.path})
"""The RPCs that answer a stream: they resume by themselves, the others are retried by the channel."""
