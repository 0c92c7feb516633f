"""MemoryService: from requests to use cases and back."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Final

from memsvc.application import Application
from memsvc.errors import invalid
from memsvc.limits import QUERY_BYTES, REPLY_BYTES, check_text, page_size
from memsvc.memories import (
    Bookmark,
    Committed,
    Erased,
    Initial,
    InitialDone,
    MemoryOrder,
    SearchMethod,
    WatchEvent,
)
from memsvc.memories.reading import MemoryPage, SearchResult
from memsvc.memories.writing import Operation
from memsvc.model import Commit, Scope
from memsvc.rpc import wire
from memsvc.rpc.calling import Context
from memsvc.rpc.extractions import proto_usage
from memsvc.rpc.fields import (
    LAYERS,
    check_not_negative,
    inverted,
    read_consistency_or_past,
    read_enum,
    read_enums,
    read_scope,
    read_shared_users,
    timestamp,
)
from memsvc.rpc.filters import read_filter
from memsvc.rpc.memories import proto_commit, proto_memory, read_target
from memsvc.rpc.operations import read_create, read_delete, read_guard, read_operations, read_restoring, read_update
from memsvc.v1 import memory_pb2 as pb

_TOP_K: Final = 10
_MAX_TOP_K: Final = 100
_ORDERS: Final[Mapping[int, MemoryOrder]] = {
    pb.MEMORY_ORDER_UPDATE_TIME_DESC: MemoryOrder.UPDATE_TIME_DESC,
    pb.MEMORY_ORDER_UPDATE_TIME_ASC: MemoryOrder.UPDATE_TIME_ASC,
    pb.MEMORY_ORDER_CREATE_TIME_DESC: MemoryOrder.CREATE_TIME_DESC,
    pb.MEMORY_ORDER_CREATE_TIME_ASC: MemoryOrder.CREATE_TIME_ASC,
    pb.MEMORY_ORDER_OBSERVE_TIME_DESC: MemoryOrder.OBSERVE_TIME_DESC,
    pb.MEMORY_ORDER_OBSERVE_TIME_ASC: MemoryOrder.OBSERVE_TIME_ASC,
    pb.MEMORY_ORDER_KEY: MemoryOrder.KEY,
}
_METHODS: Final[Mapping[int, SearchMethod]] = {
    pb.SEARCH_METHOD_LEXICAL: SearchMethod.LEXICAL,
    pb.SEARCH_METHOD_SEMANTIC: SearchMethod.SEMANTIC,
    pb.SEARCH_METHOD_HYBRID: SearchMethod.HYBRID,
    pb.SEARCH_METHOD_AGENTIC: SearchMethod.AGENTIC,
    pb.SEARCH_METHOD_LAST_N: SearchMethod.LAST_N,
    pb.SEARCH_METHOD_FIRST_N: SearchMethod.FIRST_N,
}
_METHOD_NUMBERS: Final = inverted(_METHODS)
_fresh_memory: Final = wire.freshness(pb.GetMemoryResponse)
_fresh_list: Final = wire.freshness(pb.ListMemoriesResponse)
_fresh_hits: Final = wire.freshness(pb.SearchMemoriesResponse)


class MemoryService:
    """Serves memsvc.v1.MemoryService."""

    def __init__(self, application: Application) -> None:
        self._users = application.users
        self._reader = application.memory_reader
        self._writer = application.memory_writer
        self._restorer = application.memory_restorer
        self._history = application.memory_history

    async def create_memory(self, request: pb.CreateMemoryRequest, context: Context) -> bytes:
        scope, guard = read_scope(request.scope), read_guard(request)
        commit = await self._writer.write(scope, [read_create(request, merges=request.merge_same_text)], guard)
        return _framed_written(commit, scope) + pb.CreateMemoryResponse(revision=commit.revision).SerializeToString()

    async def update_memory(self, request: pb.UpdateMemoryRequest, context: Context) -> bytes:
        scope, guard = read_scope(request.scope), read_guard(request)
        commit = await self._writer.write(scope, [read_update(request)], guard)
        return _framed_written(commit, scope) + pb.UpdateMemoryResponse(revision=commit.revision).SerializeToString()

    async def delete_memory(self, request: pb.DeleteMemoryRequest, context: Context) -> pb.DeleteMemoryResponse:
        scope, guard = read_scope(request.scope), read_guard(request)
        operations: Sequence[Operation] = [read_delete(request)]
        commit = await self._writer.write(scope, operations, guard, purge_text=request.purge)
        return pb.DeleteMemoryResponse(revision=commit.revision)

    async def batch_write_memories(
        self, request: pb.BatchWriteMemoriesRequest, context: Context
    ) -> pb.BatchWriteMemoriesResponse:
        scope, guard = read_scope(request.scope), read_guard(request)
        commit = await self._writer.write(scope, read_operations(request.operations), guard, batch=True)
        return pb.BatchWriteMemoriesResponse(commit=proto_commit(commit, scope), revision=commit.revision)

    async def clear_memories(self, request: pb.ClearMemoriesRequest, context: Context) -> pb.ClearMemoriesResponse:
        scope, guard, wanted = read_scope(request.scope), read_guard(request), read_filter(request)
        if request.all and not wanted.empty:
            raise invalid("filter", "must be empty with all")
        if wanted.empty and not request.all:
            raise invalid("filter", "must not be empty without all")
        if request.validate_only:
            result = await self._writer.would_clear(scope, wanted, guard.expected_revision)
        else:
            result = await self._writer.clear(scope, wanted, guard, purge_text=request.purge)
        return pb.ClearMemoriesResponse(cleared_count=result.count, revision=result.revision)

    async def restore_memories(
        self, request: pb.RestoreMemoriesRequest, context: Context
    ) -> pb.RestoreMemoriesResponse:
        scope, guard, restoring = read_scope(request.scope), read_guard(request), read_restoring(request)
        if request.validate_only:
            result = await self._restorer.would_restore(scope, restoring, guard)
        else:
            result = await self._restorer.restore(scope, restoring, guard)
        return pb.RestoreMemoriesResponse(
            commit=proto_commit(result.commit, scope),
            revision=result.revision,
            purged_memory_ids=result.purged,
        )

    async def get_memory(self, request: pb.GetMemoryRequest, context: Context) -> bytes:
        scope, target, consistency = read_scope(request.scope), read_target(request), read_consistency_or_past(request)
        memory, user = await self._reader.get(scope, target, consistency)
        return wire.framed_memory(user, memory) + _fresh_memory(user)

    async def list_memories(self, request: pb.ListMemoriesRequest, context: Context) -> bytes:
        scope, wanted, consistency = read_scope(request.scope), read_filter(request), read_consistency_or_past(request)
        order = read_enum("order", request.order, _ORDERS, MemoryOrder.UPDATE_TIME_DESC)
        size = page_size(request.page_size)
        page = await self._reader.list(scope, wanted, order, size, request.page_token, consistency)
        parts = wire.framed_memories(self._users, page.user, page.entries)
        parts.append(_rest_of_list(page, page.next_page_token))
        reply = b"".join(parts)
        if len(reply) - len(parts[-1]) > REPLY_BYTES:
            count = wire.fitting(parts, REPLY_BYTES)
            token = self._reader.token_after(scope, wanted, order, page.entries[count - 1])
            reply = b"".join([*parts[:count], _rest_of_list(page, token)])
        return reply

    async def search_memories(self, request: pb.SearchMemoriesRequest, context: Context) -> bytes:
        scope, wanted, consistency = read_scope(request.scope), read_filter(request), read_consistency_or_past(request)
        method = read_enum("method", request.method, _METHODS, SearchMethod.DEFAULT)
        check_text("query", request.query, QUERY_BYTES)
        top_k = check_not_negative("top_k", request.top_k) or _TOP_K
        if top_k > _MAX_TOP_K:
            raise invalid("top_k", f"must be at most {_MAX_TOP_K}")
        shared = read_shared_users(scope, request.shared_user_ids)
        if not 0 <= request.min_score <= 1:
            raise invalid("min_score", "must be from 0 to 1")
        result = await self._reader.search(
            scope, request.query, method, top_k, wanted, shared, consistency, request.min_score
        )
        sources = (result.user, *result.shared.values())
        kept = sum([len(user.encoded) for user in sources])
        framed = _framed_hits(result)
        if sum([len(user.encoded) for user in sources]) > kept:
            for user in sources:
                self._users.recount(user)
        reply = b"".join([*framed, _rest_of_hits(result), _fresh_hits(result.user)])
        if len(reply) > REPLY_BYTES:
            del framed[wire.fitting(framed, REPLY_BYTES) :]
            reply = b"".join([*framed, _rest_of_hits(result), _fresh_hits(result.user)])
        return reply

    async def get_user_memory(self, request: pb.GetUserMemoryRequest, context: Context) -> pb.GetUserMemoryResponse:
        scope, consistency = read_scope(request.scope), read_consistency_or_past(request)
        layers = read_enums("layers", request.layers, LAYERS)
        document, count, user = await self._reader.document(scope, layers, consistency)
        return pb.GetUserMemoryResponse(
            document_json=document,
            memory_count=count,
            revision=user.revision,
            read_time=timestamp(user.checked_time),
        )

    async def list_topics(self, request: pb.ListTopicsRequest, context: Context) -> pb.ListTopicsResponse:
        scope, wanted, consistency = read_scope(request.scope), read_filter(request), read_consistency_or_past(request)
        size = page_size(request.page_size)
        topics, token, user = await self._reader.topics(scope, wanted, size, request.page_token, consistency)
        return pb.ListTopicsResponse(
            topics=[pb.TopicCount(topic=each.topic, count=each.count) for each in topics],
            next_page_token=token,
            revision=user.revision,
            read_time=timestamp(user.checked_time),
        )

    async def list_memory_changes(
        self, request: pb.ListMemoryChangesRequest, context: Context
    ) -> pb.ListMemoryChangesResponse:
        scope = read_scope(request.scope)
        target = read_target(request) if request.WhichOneof("target") else None
        page = await self._history.changes(scope, target, page_size(request.page_size), request.page_token)
        return pb.ListMemoryChangesResponse(
            commits=[proto_commit(commit, scope) for commit in page.commits],
            next_page_token=page.next_page_token,
            trimmed=page.trimmed,
        )

    async def watch_memories(
        self, request: pb.WatchMemoriesRequest, context: Context
    ) -> AsyncGenerator[pb.WatchMemoriesResponse, None]:
        scope, wanted = read_scope(request.scope), read_filter(request)
        events = self._history.watch(
            scope, wanted, send_initial=request.send_initial, resume_token=request.resume_token
        )
        async with contextlib.aclosing(events):
            async for token, event in events:
                yield _proto_watched(token, event, scope)


def _framed_written(commit: Commit, scope: Scope) -> bytes:
    """Return the memory that a write of one left behind, as field 1 of its reply; an expired one may have made room."""
    memory = next(change.after for change in commit.changes if change.after is not None)
    return wire.message_field(1, proto_memory(memory, scope).SerializeToString())


def _framed_hits(result: SearchResult) -> list[bytes]:
    """Return the hits, each as field 1 of its reply."""
    framed = []
    for hit in result.hits:
        user = result.shared[hit.shared_user_id] if hit.shared_user_id else result.user
        parts = wire.framed_memory(user, hit.memory) + wire.double_field(2, hit.score)
        if hit.shared_user_id:
            parts += wire.message_field(3, hit.shared_user_id.encode())
        framed.append(wire.message_field(1, parts))
    return framed


def _rest_of_hits(result: SearchResult) -> bytes:
    """Return what of a search's reply is no hit."""
    rest = wire.number_field(pb.SearchMemoriesResponse.METHOD_FIELD_NUMBER, _METHOD_NUMBERS[result.method])
    if not (result.method_reason or result.vectors_pending or result.usage.calls):
        return rest
    others = pb.SearchMemoriesResponse(
        method_reason=result.method_reason,
        pending_vector_count=result.vectors_pending,
        usage=proto_usage(result.usage) if result.usage.calls else None,
    )
    return rest + others.SerializeToString()


def _rest_of_list(page: MemoryPage, next_page_token: str) -> bytes:
    """Return what of a list's reply is no memory."""
    token = wire.message_field(pb.ListMemoriesResponse.NEXT_PAGE_TOKEN_FIELD_NUMBER, next_page_token.encode())
    total = wire.number_field(pb.ListMemoriesResponse.TOTAL_SIZE_FIELD_NUMBER, page.total)
    return (token if next_page_token else b"") + total + _fresh_list(page.user)


def _proto_watched(token: str, event: WatchEvent, scope: Scope) -> pb.WatchMemoriesResponse:
    message = pb.WatchMemoriesResponse(resume_token=token)
    if isinstance(event, Initial):
        message.initial.CopyFrom(proto_memory(event.memory, scope))
    elif isinstance(event, InitialDone):
        message.initial_done.SetInParent()
        message.initial_done.revision = event.revision
    elif isinstance(event, Committed):
        message.commit.CopyFrom(proto_commit(event.commit, scope))
    elif isinstance(event, Bookmark):
        message.bookmark.SetInParent()
        message.bookmark.revision = event.revision
    elif isinstance(event, Erased):
        message.erased.SetInParent()
        message.erased.revision = event.revision
    return message
