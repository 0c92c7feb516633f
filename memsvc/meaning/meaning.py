"""Making, storing and reading the vectors of memories.

A write never waits for a vector: its record says that some are to be made, and a worker makes them, on any replica,
until a record says that all are there. A search uses what there is; where a text takes microseconds it makes the rest
itself. Nothing else is remembered, so that a killed worker loses nothing: what has no row has to be made.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import OrderedDict
from collections.abc import Awaitable, Sequence
from typing import cast

import msgspec

from memsvc.errors import Error
from memsvc.log import Log
from memsvc.meaning.commands import Made, PlanVectors, StoreVectors
from memsvc.model import Memory, Scope
from memsvc.search.embedders.contract import Embedder, EmbeddingFailed, InstantEmbedder, instant
from memsvc.search.hybrid import Asked
from memsvc.search.memory_terms import meant_text
from memsvc.storage.crashpoints import reach
from memsvc.storage.driver import Row, RowKind
from memsvc.users import HotUser, Users
from memsvc.users.vectors import StoredVector, Vectors
from memsvc.writing.part import STORE_ALL, VectorPlan
from memsvc.writing.writer import Writer

log = Log(__name__)

_LOADS = 4
_BATCH_MEMORIES = 128
_ROWS_A_SLICE = 500
_KEPT_QUERIES = 256
_QUERY_SECONDS = 2.0
"""So long a search waits for the vector of its query; then it goes by words."""
_PAUSE_SECONDS = 2.0
_RETRY_SECONDS = 5.0
_MAX_RETRY_SECONDS = 300.0
_decoder = msgspec.json.Decoder(StoredVector)


class Meaning:
    """Vectors of all users of a process, made by one embedder."""

    def __init__(self, users: Users, writer: Writer, embedder: Embedder, plan: VectorPlan = STORE_ALL) -> None:
        self.embedder = embedder
        self._instant = instant(embedder)
        self._vectors = plan
        self._users = users
        self._writer = writer
        self._queries: OrderedDict[str, bytes] = OrderedDict()
        self._retry_seconds = _RETRY_SECONDS
        self.last_failure = ""
        """Why vectors were not made the last time."""
        self._away: EmbeddingFailed | None = None
        self._away_until = 0.0
        if self._instant is not None:
            users.on_load = self._load_embedder

    async def ask(self, query: str, *, by_words: bool = True) -> Asked:
        """Return the query with its vector. Raises EmbeddingFailed."""
        vector = self._queries.get(query)
        if vector is None:
            vector = self._instant.vector(query) if self._instant is not None else await self._vector(query)
            while len(self._queries) >= _KEPT_QUERIES:
                self._queries.popitem(last=False)
            self._queries[query] = vector
        else:
            self._queries.move_to_end(query)
        return Asked(query, vector, by_words)

    async def _vector(self, query: str) -> bytes:
        """Return a query's vector; an embedder that has just failed is not waited for again at once."""
        if self._away is not None and time.monotonic() < self._away_until:
            raise self._away
        try:
            async with asyncio.timeout(_QUERY_SECONDS):
                vector = (await self.embedder.embed([query]))[0]
        except (EmbeddingFailed, TimeoutError) as error:
            failure = (
                error if isinstance(error, EmbeddingFailed) else EmbeddingFailed(f"no answer in {_QUERY_SECONDS:g} s")
            )
            self._away = EmbeddingFailed(str(failure), failure.retry_after_seconds)
            self._away_until = time.monotonic() + max(_PAUSE_SECONDS, failure.retry_after_seconds)
            raise self._away from None
        self._away = None
        return vector

    def _load_embedder(self) -> None:
        """Load the embedder, and numpy, while the first user is read: texts are embedded on the event loop."""
        self._users.on_load = None
        loading = asyncio.get_running_loop().run_in_executor(None, cast("InstantEmbedder", self.embedder).load)
        loading.add_done_callback(_told_if_failed)

    async def prepared(self, query: str, users: Sequence[HotUser], within_seconds: float) -> Asked:
        """Return the query for a search of these users, by words alone where its vector is not there in time."""
        try:
            # An instant embedder waits for nothing, and a timer costs as much as it does.
            asked = await (self.ask(query) if self._instant is not None else _within(within_seconds, self.ask(query)))
        except (EmbeddingFailed, TimeoutError):
            return Asked(query)
        for user in users:
            await self.prepare(user)
        return asked

    async def prepare(self, user: HotUser) -> None:
        """Read the user's vectors into RAM, those stored since the last time too; make what is made at once."""
        grown = user.vectors is None or user.vectors.model != self.embedder.name
        if grown:
            await self._load(user)
        vectors = user.vectors
        assert vectors is not None
        if vectors.unread:
            grown = True
            unread = list(vectors.unread)
            vectors.unread.clear()
            rows = await self._users.driver.get(user.state.scope, RowKind.VECTOR, unread)
            await _take(user, vectors, list(rows.values()))
        missing = vectors.missing(user.state)
        if missing and self.embedder.instant:
            for memory, vector in zip(missing, await self.embedder.embed(_texts(missing)), strict=True):
                if user.state.memory(memory.memory_id) is memory:
                    vectors.keep(memory.memory_id, vector)
        if missing and not user.state.core.embed_time and self._vectors.applies(user.state.memory_count):
            # They were there before there was an embedder, or are of another model.
            asyncio.get_running_loop().create_task(self._plan(user.state.scope))
        if grown or missing:
            self._users.recount(user)

    def pending(self, user: HotUser) -> int:
        """Return how many memories of a prepared user have no vector yet."""
        return len(user.vectors.missing(user.state)) if user.vectors is not None else 0

    def lacking(self, user: HotUser) -> int:
        """Return how many vectors of a prepared user are to be stored."""
        return self.pending(user) + (len(user.vectors.unstored) if user.vectors is not None else 0)

    async def serve(self, scope: Scope) -> bool:
        """Make and store what vectors the user lacks; False: the embedder does not answer, and it is planned anew."""
        user = await self._users.latest(scope)
        await self.prepare(user)
        vectors, revision = user.vectors, user.revision
        if vectors is None:
            return True
        made = {
            memory.memory_id: Made(memory.etag, vectors.index.vector_of(memory_id))
            for memory_id in vectors.unstored
            if (memory := user.state.memory(memory_id)) is not None
        }
        missing = vectors.missing(user.state)
        try:
            for first in range(0, len(missing), _BATCH_MEMORIES):
                batch = missing[first : first + _BATCH_MEMORIES]
                for each, vector in zip(batch, await self.embedder.embed(_texts(batch)), strict=True):
                    made[each.memory_id] = Made(each.etag, vector)
                    if user.state.memory(each.memory_id) is each:
                        vectors.keep(each.memory_id, vector)
                made = await self._store_full(scope, made)
        except EmbeddingFailed as error:
            await self._failed(scope, made, error)
            return False
        while len(made) > _BATCH_MEMORIES:
            made = await self._store_full(scope, made)
        reach("meaning.before_store")
        await self._writer.write(scope, StoreVectors(self.embedder.name, made, revision))
        reach("meaning.after_store")
        self._retry_seconds = _RETRY_SECONDS
        self._away = None
        return True

    async def _store_full(self, scope: Scope, made: dict[str, Made]) -> dict[str, Made]:
        """Store a batch if there is one; return what is left."""
        if len(made) < _BATCH_MEMORIES:
            return made
        names = list(made)
        batch = {name: made[name] for name in names[:_BATCH_MEMORIES]}
        reach("meaning.before_store")
        await self._writer.write(scope, StoreVectors(self.embedder.name, batch))
        return {name: made[name] for name in names[_BATCH_MEMORIES:]}

    async def _failed(self, scope: Scope, made: dict[str, Made], error: EmbeddingFailed) -> None:
        self.last_failure = str(error)
        log.warning("embedding_failed", scope=scope, detail=str(error))
        if made:
            await self._writer.write(scope, StoreVectors(self.embedder.name, made))
        delay = max(error.retry_after_seconds, self._retry_seconds * random.uniform(0.75, 1.25))
        self._retry_seconds = min(2 * self._retry_seconds, _MAX_RETRY_SECONDS)
        await self._writer.write(scope, PlanVectors(self._users.clock() + int(delay * 1_000_000)))

    async def _plan(self, scope: Scope) -> None:
        try:
            await self._writer.write(scope, PlanVectors(self._users.clock()))
        except Error as error:
            log.warning("plan_vectors_failed", scope=scope, reason=error.reason)

    async def _load(self, user: HotUser) -> None:
        for _ in range(_LOADS):
            vectors = Vectors(self.embedder.name)
            tip = user.state.tip
            if user.state.core.has_vectors:
                loaded = await self._users.driver.load(user.state.scope, (RowKind.VECTOR,))
                await _take(user, vectors, loaded.rows)
            if user.vectors is not None and user.vectors.model == vectors.model:
                return
            if user.state.tip == tip:
                user.vectors = vectors
                return
        # A user that moves all the time: what is not read is made once more.
        user.vectors = Vectors(self.embedder.name)


async def _within(seconds: float, asking: Awaitable[Asked]) -> Asked:
    async with asyncio.timeout(seconds):
        return await asking


async def _take(user: HotUser, vectors: Vectors, rows: Sequence[Row]) -> None:
    for first in range(0, len(rows), _ROWS_A_SLICE):
        part = rows[first : first + _ROWS_A_SLICE]
        vectors.take(user.state, [_decoder.decode(row.body) for row in part], [row.row_id for row in part])
        await asyncio.sleep(0)


def _texts(memories: Sequence[Memory]) -> list[str]:
    return [meant_text(memory) for memory in memories]


def _told_if_failed(loading: asyncio.Future[None]) -> None:
    if not loading.cancelled() and (error := loading.exception()) is not None:
        log.warning("embedder_not_loaded", error=type(error).__name__)
