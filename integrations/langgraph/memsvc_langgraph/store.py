"""LangGraph's store on memsvc: every operation of BaseStore, by a blocking client or one for asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from langgraph.store.base import (
    BaseStore,
    GetOp,
    Item,
    ListNamespacesOp,
    Op,
    PutOp,
    Result,
    SearchItem,
    SearchOp,
    TTLConfig,
    validate_op_namespace,
)

from memsvc_client import (
    Aborted,
    AsyncMemoryClient,
    ClientMisused,
    InvalidArgument,
    Memory,
    MemoryClient,
    NotFound,
    Operation,
    delete,
)
from memsvc_langgraph.conditions import common_prefix, fits, is_below, matches
from memsvc_langgraph.packing import (
    LAYER,
    SHORT_TEXT_BYTES,
    TEXT_BYTES,
    Packed,
    Unpacked,
    is_worth_refreshing,
    refreshes,
    writes,
)
from memsvc_langgraph.places import Namespace, Place, Places
from memsvc_langgraph.plans import Plan, Request, Take, acarry_out, carry_out

MAX_OPERATIONS = 700
"""Of one write: so its request stays below 4 MiB."""
MAX_READS = 5
"""Of a large value that is written anew whenever it is read."""
MAX_HITS = 100
QUERY_BYTES = 8 << 10
ALL = 1 << 62


class MemsvcStore(BaseStore):
    """Items in a memory service; values are JSON, and come back as they were.

    A search with a query ranks by words and meaning, without an embedding model; `index` may name fields of the values
    that it goes by: ["content"]. `user_labels` first labels of a namespace name one of memsvc's users (at most 10,000
    items by default): searches with a shorter prefix look at all of them, which needs the right admin.
    """

    supports_ttl = True

    def __init__(
        self,
        client: MemoryClient | AsyncMemoryClient,
        *,
        user_labels: int = 2,
        index: Sequence[str] | None = None,
        ttl: TTLConfig | None = None,
    ) -> None:
        if user_labels < 1:
            raise ValueError(f"user_labels must be at least 1, not {user_labels}")
        self.ttl_config = ttl
        self._client = client
        self._places = Places(user_labels)
        self._index = index

    def batch(self, ops: Iterable[Op]) -> list[Result]:
        """Carry out operations: what is read is as it was before what is written."""
        if isinstance(self._client, AsyncMemoryClient):
            raise ClientMisused("a store with an AsyncMemoryClient is for asyncio: use its methods that begin with a")
        client, given = self._client, _checked(ops)
        results: list[Result] = [None] * len(given)
        for index, plan in self._reads(given):
            results[index] = carry_out(plan, client)
        for write in self._writes(given):
            carry_out(write, client)
        return results

    async def abatch(self, ops: Iterable[Op]) -> list[Result]:
        if not isinstance(self._client, AsyncMemoryClient):
            return await asyncio.to_thread(self.batch, ops)
        client, given = self._client, _checked(ops)
        results: list[Result] = [None] * len(given)
        reads = list(self._reads(given))
        answers = await asyncio.gather(*(acarry_out(plan, client) for _, plan in reads))
        for (index, _), answer in zip(reads, answers, strict=True):
            results[index] = answer
        await asyncio.gather(*(acarry_out(write, client) for write in self._writes(given)))
        return results

    def _reads(self, ops: Sequence[Op]) -> Iterator[tuple[int, Plan[Any]]]:
        for index, op in enumerate(ops):
            if isinstance(op, GetOp):
                yield index, self._get(op)
            elif isinstance(op, SearchOp):
                yield index, self._search(op)
            elif isinstance(op, ListNamespacesOp):
                yield index, self._list_namespaces(op)

    def _writes(self, ops: Sequence[Op]) -> Iterator[Plan[None]]:
        """Yield the writes of each user: of one item the last."""
        by_user: dict[str, dict[Place, PutOp]] = {}
        for op in ops:
            if isinstance(op, PutOp):
                place = self._places.of(op.namespace, str(op.key))
                by_user.setdefault(place.user_id, {})[place] = op
        for user_id, puts in by_user.items():
            yield self._put(user_id, puts)

    def _put(self, user_id: str, puts: dict[Place, PutOp]) -> Plan[None]:
        for several in _requests({place: self._packed(place, op, TEXT_BYTES) for place, op in puts.items()}):
            try:
                commit = yield _batch(user_id, several)
            except InvalidArgument as failure:
                if not any(each.field.endswith("memory.text") for each in failure.fields):
                    raise
                several = {place: self._packed(place, puts[place], SHORT_TEXT_BYTES) for place in several}
                commit = yield _batch(user_id, several)
            by_key = {place.key: place for place in several}
            for change in commit.changes:
                if change.before is not None and (place := by_key.get(change.before.key)) is not None:
                    # What was larger before has parts that nobody reads any more.
                    stale = range(len(several[place]) - 1, Packed(change.before).part_count)
                    if stale:
                        parts = [delete(layer=LAYER, key=place.part(number), allow_missing=True) for number in stale]
                        yield _batch(user_id, {place: parts})

    def _packed(self, place: Place, op: PutOp, text_bytes: int) -> list[Operation]:
        if op.value is None:
            return [delete(layer=LAYER, key=place.key, allow_missing=True)]
        return writes(op, place, self._index, text_bytes)

    def _get(self, op: GetOp) -> Plan[Item | None]:
        place = self._places.of(op.namespace, str(op.key))
        try:
            memory = yield _memory_at(place)
        except NotFound:
            return None
        if (unpacked := (yield from self._unpack(memory, place))) is None:
            return None
        yield from self._refresh([unpacked], op.refresh_ttl)
        return unpacked.item()

    def _search(self, op: SearchOp) -> Plan[list[SearchItem]]:
        prefix, wanted = tuple(op.namespace_prefix), op.offset + op.limit
        found: list[tuple[float | None, Unpacked]] = []
        for user_id in (yield from self._users(prefix)):
            taken = yield from self._found_of(user_id, op, prefix, wanted)
            found += taken
        if op.query:
            # What no search has found comes last.
            found.sort(key=lambda each: (each[0] is None, -(each[0] or 0.0)))
        else:
            found.sort(key=lambda each: each[1].item().updated_at, reverse=True)
        shown = found[op.offset : wanted]
        yield from self._refresh([each for _, each in shown], op.refresh_ttl)
        return [each.found(score) for score, each in shown]

    def _found_of(
        self, user_id: str, op: SearchOp, prefix: Namespace, wanted: int
    ) -> Plan[list[tuple[float | None, Unpacked]]]:
        """Return the best items of one user, or its newest, as many as are wanted."""
        path, found, seen = self._places.path(prefix), [], set()
        if op.query and op.query.strip():
            hits = yield _hits(user_id, op.query, path)
            for hit in (each for each in hits if Packed(each).is_indexed):
                seen.add(hit.memory_id)
                if (unpacked := (yield from self._wanted(hit, user_id, op, prefix))) is not None:
                    found.append((hit.score, unpacked))
        for count in (wanted, ALL):
            if len(found) >= wanted:
                break
            # What is large is looked at only once its parts are here: then more may be wanted.
            listed = yield Take(_memories(user_id, path), lambda each: self._candidate(each, op, prefix, seen), count)
            for memory in listed:
                seen.add(memory.memory_id)
                if (unpacked := (yield from self._wanted(memory, user_id, op, prefix))) is not None:
                    found.append((None, unpacked))
            if len(listed) < count:
                break
        return found

    def _candidate(self, memory: Memory, op: SearchOp, prefix: Namespace, seen: set[str]) -> Memory | None:
        if memory.memory_id in seen:
            return None
        packed = Packed(memory)
        if packed.part_count:
            return memory
        unpacked = packed.unpacked()
        assert unpacked is not None
        return memory if is_below(unpacked.namespace, prefix) and fits(unpacked.value, op.filter) else None

    def _wanted(self, memory: Memory, user_id: str, op: SearchOp, prefix: Namespace) -> Plan[Unpacked | None]:
        unpacked = yield from self._unpack(memory, Place(user_id, memory.key))
        if unpacked is None or not is_below(unpacked.namespace, prefix) or not fits(unpacked.value, op.filter):
            return None
        return unpacked

    def _list_namespaces(self, op: ListNamespacesOp) -> Plan[list[Namespace]]:
        prefix = common_prefix(op.match_conditions)
        there: set[Namespace] = set()
        for user_id in (yield from self._users(prefix)):
            memories = yield Take(_memories(user_id, self._places.path(prefix)), lambda each: each, ALL)
            for memory in memories:
                unpacked = yield from self._unpack(memory, Place(user_id, memory.key))
                if unpacked is not None and matches(unpacked.namespace, op.match_conditions):
                    there.add(unpacked.namespace[: op.max_depth])
        return sorted(there)[op.offset : op.offset + op.limit]

    def _unpack(self, memory: Memory, place: Place) -> Plan[Unpacked | None]:
        """Return an item with all its parts; None where it was deleted meanwhile."""
        for _ in range(MAX_READS):
            packed, parts = Packed(memory), []
            if packed.part_count:
                parts = yield Take(_memories(place.user_id, place.parts), lambda each: each, ALL)
            if (unpacked := packed.unpacked(parts)) is not None:
                return unpacked
            try:
                memory = yield _memory_at(place)
            except NotFound:
                return None
        raise Aborted("a large item is written more often than it can be read")

    def _refresh(self, read: Sequence[Unpacked], wanted: bool) -> Plan[None]:
        for each in read if wanted else ():
            packed, place = Packed(each.memory), self._places.of(each.namespace, each.key)
            if is_worth_refreshing(packed):
                try:
                    yield _batch(place.user_id, {place: refreshes(packed, place)})
                except (Aborted, NotFound):
                    # It was written or deleted meanwhile.
                    continue

    def _users(self, prefix: Namespace) -> Plan[list[str]]:
        if (user_id := self._places.single_user(prefix)) is not None:
            return [user_id]
        users = yield Take(lambda client: client.users(), lambda each: each, ALL)
        return self._places.users_below(prefix, users)


def _checked(ops: Iterable[Op]) -> list[Op]:
    given = list(ops)
    for op in given:
        if not isinstance(op, (GetOp, SearchOp, PutOp, ListNamespacesOp)):
            raise ValueError(f"Unknown operation type: {type(op)}")
        validate_op_namespace(op)
    return given


def _requests(packed: dict[Place, list[Operation]]) -> Iterator[dict[Place, list[Operation]]]:
    """Yield as many items together as a request takes, each whole."""
    waiting: dict[Place, list[Operation]] = {}
    count = 0
    for place, operations in packed.items():
        if waiting and count + len(operations) > MAX_OPERATIONS:
            yield waiting
            waiting, count = {}, 0
        waiting[place] = operations
        count += len(operations)
    if waiting:
        yield waiting


def _batch(user_id: str, several: dict[Place, list[Operation]]) -> Request:
    together = [operation for operations in several.values() for operation in operations]
    return lambda client: client.user(user_id).memories.batch(together)


def _memory_at(place: Place) -> Request:
    return lambda client: client.user(place.user_id).memories.get(layer=LAYER, key=place.key)


def _memories(user_id: str, path: str) -> Request:
    return lambda client: client.user(user_id).memories.list({"layers": [LAYER], "key_path": path})


def _hits(user_id: str, query: str, path: str) -> Request:
    chosen = {"layers": [LAYER], "key_path": path}
    asked = query.replace("\0", " ").encode("utf-8", "replace")[:QUERY_BYTES].decode(errors="ignore")
    return lambda client: client.user(user_id).memories.search(asked, limit=MAX_HITS, filter=chosen)
