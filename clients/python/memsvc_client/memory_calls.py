"""Calls on a user's memories: `user.memories`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Unpack

from memsvc.v1 import memory_pb2
from memsvc_client import rpcs
from memsvc_client.calls import Call, Pages, Subject, call, pages
from memsvc_client.enums import Layer, MemoryOrder, SearchMethod
from memsvc_client.memory import (
    Commit,
    Memory,
    Restored,
    SearchHits,
    TopicCount,
    commit_of,
    hit_of,
    memory_of,
    restored_of,
)
from memsvc_client.selection import Consistency, MemoryFilter, consistency_to_wire, filter_to_wire
from memsvc_client.usage import usage_of
from memsvc_client.wire import enum_member, enum_number, request_id_or_new, strings, time_of, to_json
from memsvc_client.writing import MemoryFields, MemoryUpdate, Operation, changed_memory, new_memory, set_origin, target

MAX_HITS = 100
"""A search finds no more; lists have no limit."""


def add(
    subject: Subject,
    text: str,
    *,
    layer: Layer | str | None = None,
    key: str = "",
    memory_id: str = "",
    session_id: str = "",
    duplicate: bool = False,
    expected_revision: int | None = None,
    request_id: str | None = None,
    timeout: float | None = None,
    **fields: Unpack[MemoryFields],
) -> Call[str]:
    """Remember a text, in the layer KNOWLEDGE by default, and return its memory_id.

    A text that the layer has already stays one memory, with the topics and metadata of both, and its id is returned;
    `duplicate` makes another one. So does a memory_id or key of one's own.

    Raises AlreadyExists where the memory_id, or the key in its layer, is taken.
    """
    request = memory_pb2.CreateMemoryRequest(
        scope=subject.scope,
        memory=new_memory(subject, text, layer, key, memory_id, session_id, fields),
        request_id=request_id_or_new(request_id),
        expected_revision=expected_revision,
        merge_same_text=not duplicate,
    )
    return call(rpcs.CREATE_MEMORY, request, lambda reply: reply.memory.memory_id, timeout)


def get(
    subject: Subject,
    memory_id: str | None = None,
    *,
    layer: Layer | str | None = None,
    key: str | None = None,
    consistency: Consistency | None = None,
    timeout: float | None = None,
) -> Call[Memory]:
    """Get one memory by id, or by layer and key. Raises NotFound."""
    request = memory_pb2.GetMemoryRequest(
        scope=subject.scope, **target(memory_id, layer, key), consistency=consistency_to_wire(consistency)
    )
    return call(rpcs.GET_MEMORY, request, lambda reply: memory_of(reply.memory), timeout)


def update(
    subject: Subject,
    memory_id: str | None = None,
    *,
    layer: Layer | str | None = None,
    key: str | None = None,
    etag: str = "",
    expected_revision: int | None = None,
    request_id: str | None = None,
    timeout: float | None = None,
    **fields: Unpack[MemoryUpdate],
) -> Call[Memory]:
    """Change the fields that are given (None clears one) of a memory named by id, or by layer and key.

    Raises NotFound; Aborted where `etag` or `expected_revision` is given and stale.
    """
    memory, mask = changed_memory(memory_id, layer, key, etag, fields)
    request = memory_pb2.UpdateMemoryRequest(
        scope=subject.scope,
        memory=memory,
        update_mask=mask,
        request_id=request_id_or_new(request_id),
        expected_revision=expected_revision,
    )
    return call(rpcs.UPDATE_MEMORY, request, lambda reply: memory_of(reply.memory), timeout)


def replace(
    subject: Subject,
    memory_id: str,
    text: str,
    *,
    etag: str = "",
    request_id: str | None = None,
    timeout: float | None = None,
    **fields: Unpack[MemoryFields],
) -> Call[Memory]:
    """Change what a memory says. A value at its key goes with the old text, unless a new one is given."""
    given: MemoryUpdate = {"value": None, **fields, "text": text}
    return update(subject, memory_id, etag=etag, request_id=request_id, timeout=timeout, **given)


def upsert(
    subject: Subject,
    layer: Layer | str,
    key: str,
    text: str = "",
    *,
    etag: str = "",
    expected_revision: int | None = None,
    request_id: str | None = None,
    timeout: float | None = None,
    **fields: Unpack[MemoryFields],
) -> Call[Memory]:
    """Set what is known at a key: a value, a text that says it, or both. Creates the memory where there is none.

    Without a text, "key: value" is the text; without a value, the text is the value.
    """
    if not text and fields.get("value") is None:
        raise ValueError("upsert needs a value or a text")
    given: MemoryUpdate = {"value": None, **fields, "text": text or f"{key}: {_spoken(fields['value'])}"}
    memory, mask = changed_memory(None, layer, key, etag, given)
    set_origin(memory, subject)
    request = memory_pb2.UpdateMemoryRequest(
        scope=subject.scope,
        memory=memory,
        update_mask=mask,
        allow_missing=True,
        request_id=request_id_or_new(request_id),
        expected_revision=expected_revision,
    )
    return call(rpcs.UPDATE_MEMORY, request, lambda reply: memory_of(reply.memory), timeout)


def delete(
    subject: Subject,
    memory_id: str | None = None,
    *,
    layer: Layer | str | None = None,
    key: str | None = None,
    etag: str = "",
    allow_missing: bool = False,
    purge: bool = False,
    expected_revision: int | None = None,
    request_id: str | None = None,
    timeout: float | None = None,
) -> Call[int]:
    """Delete a memory named by id, or by layer and key; `purge` blanks its text in the history too.

    Returns the user's revision. Raises NotFound unless `allow_missing`.
    """
    request = memory_pb2.DeleteMemoryRequest(
        scope=subject.scope,
        **target(memory_id, layer, key),
        etag=etag,
        allow_missing=allow_missing,
        purge=purge,
        request_id=request_id_or_new(request_id),
        expected_revision=expected_revision,
    )
    return call(rpcs.DELETE_MEMORY, request, lambda reply: reply.revision, timeout)


def batch(
    subject: Subject,
    operations: Iterable[Operation],
    *,
    expected_revision: int | None = None,
    request_id: str | None = None,
    timeout: float | None = None,
) -> Call[Commit]:
    """Write up to 1,000 operations (`create`, `update`, `delete`), all or none; each memory at most once.

    An error names `operations[i]` in its fields.
    """
    request = memory_pb2.BatchWriteMemoriesRequest(
        scope=subject.scope,
        operations=_operations_to_wire(subject, operations),
        request_id=request_id_or_new(request_id),
        expected_revision=expected_revision,
    )
    return call(rpcs.BATCH_WRITE_MEMORIES, request, lambda reply: commit_of(reply.commit), timeout)


def clear(
    subject: Subject,
    filter: MemoryFilter | None = None,  # noqa: A002
    *,
    all: bool = False,  # noqa: A002
    purge: bool = False,
    validate_only: bool = False,
    expected_revision: int | None = None,
    request_id: str | None = None,
    timeout: float | None = None,
) -> Call[int]:
    """Delete the memories that the filter names, or `all`, and return how many; `validate_only` only counts them."""
    if all == bool(filter):
        raise ValueError("clear takes a filter, or all=True")
    request = memory_pb2.ClearMemoriesRequest(
        scope=subject.scope,
        filter=filter_to_wire(filter),
        all=all,
        purge=purge,
        validate_only=validate_only,
        request_id=request_id_or_new(request_id),
        expected_revision=expected_revision,
    )
    return call(rpcs.CLEAR_MEMORIES, request, lambda reply: reply.cleared_count, timeout)


def undo(
    subject: Subject,
    revision: int | None = None,
    *,
    validate_only: bool = False,
    expected_revision: int | None = None,
    request_id: str | None = None,
    timeout: float | None = None,
) -> Call[Restored]:
    """Undo the newest revision, expirations aside, or the one that is named; an undo is undone like any other.

    Raises FailedPrecondition where one of its memories was changed again later, or its text was purged;
    AlreadyExists where its key was taken meanwhile.
    """
    request = memory_pb2.RestoreMemoriesRequest(
        scope=subject.scope,
        revert_revision=0 if revision is None else _positive("revision", revision),
        validate_only=validate_only,
        request_id=request_id_or_new(request_id),
        expected_revision=expected_revision,
    )
    return call(rpcs.RESTORE_MEMORIES, request, restored_of, timeout)


def restore(
    subject: Subject,
    revision: int,
    memory_ids: Iterable[str] = (),
    *,
    all: bool = False,  # noqa: A002
    validate_only: bool = False,
    expected_revision: int | None = None,
    request_id: str | None = None,
    timeout: float | None = None,
) -> Call[Restored]:
    """Bring memories (or `all`) back to what they were at a revision; 0: before the first one.

    What was not there then is deleted. Raises NotFound; FailedPrecondition where the text of one that is named was
    purged; OutOfRange where the history does not reach back so far.
    """
    chosen = strings("memory_ids", memory_ids)
    if all == bool(chosen):
        raise ValueError("restore takes memory_ids, or all=True")
    request = memory_pb2.RestoreMemoriesRequest(
        scope=subject.scope,
        to_revision=revision,
        memory_ids=chosen,
        all=all,
        validate_only=validate_only,
        request_id=request_id_or_new(request_id),
        expected_revision=expected_revision,
    )
    return call(rpcs.RESTORE_MEMORIES, request, restored_of, timeout)


def search(
    subject: Subject,
    query: str = "",
    *,
    method: SearchMethod | str | None = None,
    limit: int = 10,
    min_score: float = 0.0,
    filter: MemoryFilter | None = None,  # noqa: A002
    shared_user_ids: Iterable[str] = (),
    consistency: Consistency | None = None,
    timeout: float | None = None,
) -> Call[SearchHits]:
    """Find the memories that fit a question best, or the newest ("last_n") or oldest ("first_n"); at most 100.

    `min_score`, 0 to 1, leaves out what is less sure.
    """
    request = memory_pb2.SearchMemoriesRequest(
        scope=subject.scope,
        query=query,
        method=enum_number("method", SearchMethod, method),
        top_k=limit_of_hits(limit),
        min_score=min_score,
        filter=filter_to_wire(filter),
        shared_user_ids=strings("shared_user_ids", shared_user_ids),
        consistency=consistency_to_wire(consistency),
    )
    return call(rpcs.SEARCH_MEMORIES, request, _hits_of, timeout)


def list_memories(
    subject: Subject,
    filter: MemoryFilter | None = None,  # noqa: A002
    *,
    order: MemoryOrder | str | None = None,
    page_size: int = 100,
    consistency: Consistency | None = None,
    timeout: float | None = None,
) -> Pages[Memory]:
    """Iterate over all memories that match, last changed first by default; pages are fetched as they are needed."""
    request = memory_pb2.ListMemoriesRequest(
        scope=subject.scope,
        filter=filter_to_wire(filter),
        order=enum_number("order", MemoryOrder, order),
        page_size=_positive("page_size", page_size),
        consistency=consistency_to_wire(consistency),
    )
    return pages(rpcs.LIST_MEMORIES, request, lambda reply: [memory_of(each) for each in reply.memories], timeout)


def topics(
    subject: Subject,
    filter: MemoryFilter | None = None,  # noqa: A002
    *,
    consistency: Consistency | None = None,
    timeout: float | None = None,
) -> Pages[TopicCount]:
    """Iterate over topics with the number of memories that have them, most frequent first."""
    request = memory_pb2.ListTopicsRequest(
        scope=subject.scope, filter=filter_to_wire(filter), consistency=consistency_to_wire(consistency)
    )
    return pages(
        rpcs.LIST_TOPICS, request, lambda reply: [TopicCount(each.topic, each.count) for each in reply.topics], timeout
    )


def changes(
    subject: Subject,
    memory_id: str | None = None,
    *,
    layer: Layer | str | None = None,
    key: str | None = None,
    timeout: float | None = None,
) -> Pages[Commit]:
    """Iterate over what happened to one memory, at one layer and key, or to all memories of the user; newest first."""
    everything = not memory_id and layer is None and key is None
    asked = {} if everything else target(memory_id, layer, key)
    request = memory_pb2.ListMemoryChangesRequest(scope=subject.scope, **asked)
    return pages(rpcs.LIST_MEMORY_CHANGES, request, lambda reply: [commit_of(each) for each in reply.commits], timeout)


def _operations_to_wire(subject: Subject, operations: Iterable[Operation]) -> list[memory_pb2.BatchWriteOperation]:
    """Return a batch for the wire. Raises TypeError that names the index of what is no operation."""
    given = list(operations)
    for index, each in enumerate(given):
        if not isinstance(each, Operation):
            raise TypeError(f"operations[{index}] must be made by create, update or delete, not {each!r:.80}")
    return [operation.for_subject(subject) for operation in given]


def _hits_of(reply: memory_pb2.SearchMemoriesResponse) -> SearchHits:
    return SearchHits(
        (hit_of(hit) for hit in reply.hits),
        method=enum_member(SearchMethod, reply.method),
        method_reason=reply.method_reason,
        pending_vector_count=reply.pending_vector_count,
        revision=reply.revision,
        read_time=time_of(reply, "read_time"),
        usage=usage_of(reply.usage),
    )


def limit_of_hits(limit: int) -> int:
    """Return how many to find. Raises ValueError where a search would not find so many."""
    if limit > MAX_HITS:
        raise ValueError(f"limit must be at most {MAX_HITS}, not {limit}: memories.list has no limit")
    return _positive("limit", limit)


def _positive(name: str, number: int) -> int:
    """Return `number`: 0 would mean the server's default, and less is nothing."""
    if number < 1:
        raise ValueError(f"{name} must be at least 1, not {number}")
    return number


def _spoken(value: object) -> str:
    """A value as one would write it: a list with commas, a string as it is."""
    if isinstance(value, str):
        return value
    try:
        if isinstance(value, (list, tuple)):
            return ", ".join(_spoken(each) for each in value)
    except RecursionError:
        raise ValueError("value is nested too deeply for JSON, or holds itself") from None
    return to_json("value", value)
