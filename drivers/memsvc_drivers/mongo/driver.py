"""Keeps journals in MongoDB: an append is one insert, whose `_id` decides; rows follow, so that people can read them.

Nothing needs a transaction or an atomic update, so it is right on a standalone server, a replica set, a sharded cluster
(each collection sharded by `u`, hashed) and FerretDB alike. A backup is restored while no memsvc runs.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Self

from memsvc.errors import Error, StorageUnavailable
from memsvc.model import Scope
from memsvc.storage.driver import (
    EMPTY,
    Append,
    Capabilities,
    Due,
    Loaded,
    Migration,
    Outcome,
    PageOf,
    Record,
    Redaction,
    Row,
    RowKind,
    Tip,
)
from memsvc_drivers.mongo import schema
from memsvc_drivers.mongo.appending import Appending
from memsvc_drivers.mongo.client import Client
from memsvc_drivers.mongo.documents import scope_of, user_key
from memsvc_drivers.mongo.facts import Facts, capabilities_of, read_facts
from memsvc_drivers.mongo.journal import Journal
from memsvc_drivers.mongo.knowledge import Knowledge
from memsvc_drivers.mongo.projection import Projection
from memsvc_drivers.mongo.rows import Rows
from memsvc_drivers.mongo.settings import Settings, described_names, parse_settings
from memsvc_drivers.mongo.versions import Versions
from memsvc_drivers.mongo.walking import WalkingJournal
from memsvc_drivers.options import described_options


class MongoDriver:
    """The driver for `mongodb://` and `mongodb+srv://` URLs, with the options that these have.

    Options are the fields of `Settings` (all but `url`, `database` and `names`), `collection_prefix`, and
    `collection_<name>` for each field of `CollectionNames`. Write concern, read preference and retries are the
    driver's own, whatever the URL says of them.
    """

    def __init__(self, url: str, options: Mapping[str, str], *, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._settings = parse_settings(url, options)
        self._store: _Store | None = None
        self._closing: asyncio.Future[None] | None = None

    @staticmethod
    def options() -> Mapping[str, str]:
        """Return the options and what they are."""
        return {**described_options(Settings, but=("url", "database", "names")), **described_names()}

    @property
    def generation(self) -> int:
        return 0

    async def open(self) -> None:
        if self._store is None:
            self._store = await _Store.opened(self._settings, self._clock)

    async def close(self) -> None:
        store, self._store = self._store, None
        if store is not None:
            self._closing = asyncio.ensure_future(store.close())
        if self._closing is not None:
            await asyncio.shield(self._closing)

    async def ping(self) -> None:
        async with self._using() as store:
            await store.client.ping()

    async def migrate(self, *, check: bool = False) -> Migration:
        client = Client(self._settings)
        try:
            async with client.in_time():
                facts = await _connected(client, self._settings)
                collections = schema.collections(client, self._settings.names)
                if check:
                    return await schema.check(collections)
                return await schema.migrate(collections, indexed=not facts.ferretdb)
        finally:
            await client.close()

    def capabilities(self) -> Capabilities:
        return self._opened().capabilities

    async def append(self, batch: Sequence[Append]) -> Sequence[Outcome]:
        async with self._using() as store:
            return await store.appending.append(batch)

    async def tips(self, scopes: Sequence[Scope]) -> Sequence[Tip]:
        async with self._using() as store:
            users = [user_key(scope) for scope in scopes]
            tips = await store.journal.tips(set(users)) if users else {}
            return [tips.get(user, EMPTY) for user in users]

    async def load(self, scope: Scope, kinds: Collection[RowKind]) -> Loaded:
        async with self._using() as store:
            return await store.rows.load(user_key(scope), kinds)

    async def records(self, scope: Scope, after: int, limit: int) -> Sequence[Record]:
        async with self._using() as store:
            return await store.journal.records(user_key(scope), after, limit)

    async def rows(self, page: PageOf) -> Sequence[Row]:
        async with self._using() as store:
            return await store.rows.page(user_key(page.scope), page)

    async def get(self, scope: Scope, kind: RowKind, row_ids: Sequence[str]) -> Mapping[str, Row]:
        async with self._using() as store:
            return await store.rows.get(user_key(scope), kind, row_ids) if row_ids else {}

    async def due(self, before: int, limit: int) -> Sequence[Due]:
        async with self._using() as store:
            return await store.journal.due(before, limit)

    async def users(self, namespace: str, after: str, limit: int) -> Sequence[str]:
        async with self._using() as store:
            return await store.journal.users(namespace, after, limit)

    async def scopes(self, after: Scope | None, limit: int) -> Sequence[Scope]:
        async with self._using() as store:
            return await store.journal.scopes(after, limit)

    async def seed(self, scope: Scope, rows: Sequence[Row], *, afresh: bool) -> None:
        async with self._using() as store:
            user = user_key(scope)
            tip = (await store.journal.tips([user])).get(user, EMPTY)
            if tip != EMPTY:
                # What an earlier copy appended must not come on top of the rows.
                await store.projection.project([user])
            await store.versions.seed(user, rows, tip.seq, store.projection.now, afresh=afresh)

    async def truncate(self, scope: Scope, floor: int) -> None:
        async with self._using() as store:
            user = user_key(scope)
            tip = (await store.journal.tips([user])).get(user)
            if tip is not None:
                await store.projection.project([user])
                await store.journal.forget({user: min(floor, tip.seq)}, store.projection.now)

    async def redact(self, scope: Scope, redactions: Sequence[Redaction]) -> Collection[int]:
        async with self._using() as store:
            if not redactions:
                return []
            user = user_key(scope)
            # What the journal still says of rows may hold the same text.
            await store.projection.project([user])
            return await store.journal.redact(user, redactions)

    async def hints(self) -> AsyncIterator[Scope | None]:
        store = self._opened()
        if not store.capabilities.hints.supported:
            await asyncio.Event().wait()
        async for document_id in store.collections.journal.inserted_ids():
            yield None if document_id is None else scope_of(document_id)

    def _opened(self) -> _Store:
        if self._store is None:
            raise StorageUnavailable("driver is not open")
        return self._store

    @asynccontextmanager
    async def _using(self) -> AsyncIterator[_Store]:
        store = self._opened()
        async with store.call(), store.client.in_time():
            yield store


class _Store:
    """What there is while a driver is open."""

    @classmethod
    async def opened(cls, settings: Settings, clock: Callable[[], float]) -> Self:
        """Connect, and make the schema where there is none."""
        client = Client(settings)
        try:
            async with client.in_time():
                facts = await _connected(client, settings)
                await schema.ensure(schema.collections(client, settings.names), indexed=not facts.ferretdb)
        except BaseException:
            await client.close()
            raise
        store = cls(settings, client, capabilities_of(facts, settings), clock)
        store.projection.start()
        return store

    def __init__(
        self, settings: Settings, client: Client, capabilities: Capabilities, clock: Callable[[], float]
    ) -> None:
        self.client = client
        self.capabilities = capabilities
        self.collections = schema.collections(client, settings.names)
        self.known = Knowledge(lambda: client.losses, clock)
        self.journal = (WalkingJournal if client.scans else Journal)(self.collections.journal, self.known)
        self.rows = Rows(self.collections, self.journal, self.known)
        self.versions = Versions(self.collections)
        self.projection = Projection(
            self.journal, self.versions, self.known, delay_seconds=settings.projection_delay_ms / 1000, clock=clock
        )
        self.appending = Appending(self.collections.journal, self.journal, self.known, self.projection)
        self._calls = 0
        self._idle = asyncio.Event()
        self._idle.set()

    @asynccontextmanager
    async def call(self) -> AsyncIterator[None]:
        """Keep `close` waiting until what is inside has ended."""
        self._calls += 1
        self._idle.clear()
        try:
            yield
        finally:
            self._calls -= 1
            if not self._calls:
                self._idle.set()

    async def close(self) -> None:
        with suppress(Error):
            async with self.client.in_time():
                await self._idle.wait()
                await self.projection.stop()
        await self.client.close()


async def _connected(client: Client, settings: Settings) -> Facts:
    await client.connect()
    facts = await read_facts(client, settings)
    client.adapt(scans=facts.ferretdb, replicated=facts.replica_set or facts.sharded)
    return facts
