"""Keeps journals in Redis: one server, the one that Sentinels name, or a cluster.

An append is one script, and so whole or absent; the scripts of a batch go out together. What Redis acknowledges it may
still lose: with `appendfsync always` not by a crash of its node, but by the loss of that node, whatever is configured.
See `redis.settings` for URLs and options, `redis.keys` for what is where.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field

from msgspec import structs
from redis.exceptions import RedisError, ResponseError

from memsvc.errors import StorageUnavailable, invalid
from memsvc.model import Scope
from memsvc.storage.driver import (
    MAX_APPEND_BYTES,
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
from memsvc_drivers.options import described_options
from memsvc_drivers.redis import journals
from memsvc_drivers.redis.calls import Calls
from memsvc_drivers.redis.connections import tls_context
from memsvc_drivers.redis.errors import CONNECTION_ERRORS, Lost, Rerouted, Unreachable, unavailable
from memsvc_drivers.redis.hints import Hints
from memsvc_drivers.redis.keys import CLUSTER_BUCKETS, META, SERVER_BUCKETS, Keys
from memsvc_drivers.redis.routing import Route, not_a_cluster, route
from memsvc_drivers.redis.server import (
    Scrub,
    Server,
    capabilities,
    check_schema,
    inspect,
    migrate_schema,
    refusal,
    require_schema,
)
from memsvc_drivers.redis.settings import NOT_OPTIONS, Mode, Settings, parse_settings

_ERASE_SCRUB_SECONDS = 1.0
"""How long an append that erases waits until the text is out of the file: others may be in its batch."""
_SEED_ROWS = 1_000
_FAILURES = (Lost, Unreachable, Rerouted, RedisError, *CONNECTION_ERRORS)


class RedisDriver:
    """The driver for `redis://`, `redis+sentinel://` and `redis+cluster://`, and the same with `rediss`.

    Options are the fields of `Settings` that the URL does not say.
    """

    def __init__(self, url: str, options: Mapping[str, str]) -> None:
        self._settings = parse_settings(url, options)
        self._store: _Store | None = None
        self._closing: asyncio.Task[None] | None = None

    @classmethod
    def options(cls) -> Mapping[str, str]:
        """Return what each option is, and its default."""
        return described_options(Settings, but=NOT_OPTIONS)

    @property
    def generation(self) -> int:
        return 0

    async def open(self) -> None:
        if self._store is not None:
            return
        store = _Store(self._settings)
        try:
            await store.open()
        except BaseException:
            await store.close()
            raise
        self._store = store

    async def close(self) -> None:
        store, self._store = self._store, None
        if store is not None:
            self._closing = asyncio.create_task(store.close())
        if self._closing is not None:
            await asyncio.shield(self._closing)

    async def ping(self) -> None:
        with self._using() as store:
            await store.calls.check(META)

    async def migrate(self, *, check: bool = False) -> Migration:
        async with _connected(_Store(self._settings)) as store:
            return await (check_schema if check else migrate_schema)(store.calls, store.keys)

    def capabilities(self) -> Capabilities:
        return self._opened().capabilities()

    async def append(self, batch: Sequence[Append]) -> Sequence[Outcome]:
        with self._using() as store:
            calls = [journals.append_call(store.keys, item) for item in batch]
            replies = await store.calls.run(calls, writes=True)
            outcomes = [journals.outcome_of(reply) for reply in replies]
            applied = [item for item, outcome in zip(batch, outcomes, strict=True) if outcome is Outcome.APPENDED]
            store.hints.publish(item.scope for item in applied)
            if any(item.erases for item in applied):
                await store.scrub.scrub(_ERASE_SCRUB_SECONDS)
            if replies and all(isinstance(reply, BaseException) for reply in replies):
                raise unavailable(replies[0])
            return outcomes

    async def tips(self, scopes: Sequence[Scope]) -> Sequence[Tip]:
        with self._using() as store:
            return await journals.tips(store.calls, store.keys, scopes) if scopes else []

    async def load(self, scope: Scope, kinds: Collection[RowKind]) -> Loaded:
        with self._using() as store:
            return await journals.load(store.calls, store.keys, scope, kinds)

    async def records(self, scope: Scope, after: int, limit: int) -> Sequence[Record]:
        with self._using() as store:
            return await journals.records(store.calls, store.keys, scope, after, limit)

    async def rows(self, page: PageOf) -> Sequence[Row]:
        with self._using() as store:
            return await journals.page(store.calls, store.keys, page)

    async def get(self, scope: Scope, kind: RowKind, row_ids: Sequence[str]) -> Mapping[str, Row]:
        with self._using() as store:
            return await journals.get(store.calls, store.keys, scope, kind, row_ids)

    async def due(self, before: int, limit: int) -> Sequence[Due]:
        with self._using() as store:
            return await journals.due(store.calls, store.keys, before, limit)

    async def users(self, namespace: str, after: str, limit: int) -> Sequence[str]:
        with self._using() as store:
            return await journals.users(store.calls, store.keys, namespace, after, limit)

    async def scopes(self, after: Scope | None, limit: int) -> Sequence[Scope]:
        with self._using() as store:
            return await journals.scopes(store.calls, store.keys, after, limit)

    async def seed(self, scope: Scope, rows: Sequence[Row], *, afresh: bool) -> None:
        with self._using() as store:
            for number, some in enumerate(_portions(rows)):
                call = journals.seed_call(store.keys, scope, some, afresh=afresh and number == 0)
                await store.calls.value(call, writes=True)

    async def truncate(self, scope: Scope, floor: int) -> None:
        with self._using() as store:
            await store.calls.value(journals.truncate_call(store.keys, scope, floor), writes=True)

    async def redact(self, scope: Scope, redactions: Sequence[Redaction]) -> Collection[int]:
        with self._using() as store:
            if not redactions:
                return []
            replaced = await store.calls.value(journals.redact_call(store.keys, scope, redactions), writes=True)
            if replaced:
                await store.scrub.scrub(self._settings.operation_timeout_ms / 1000)
            return [redactions[number - 1].seq for number in replaced]

    async def hints(self) -> AsyncIterator[Scope | None]:
        async for scope in self._opened().hints.listen():
            yield scope

    def _opened(self) -> _Store:
        if self._store is None:
            raise StorageUnavailable("driver is not open")
        return self._store

    @contextmanager
    def _using(self) -> Iterator[_Store]:
        store = self._opened()
        store.in_use += 1
        try:
            yield store
        finally:
            store.in_use -= 1
            if store.in_use == 0:
                store.unused.set()


@dataclass(slots=True, eq=False)
class _Store:
    """What is held while a driver is open."""

    settings: Settings
    keys: Keys = field(init=False)
    """With the buckets that a new store gets, until it is open; then with those that it has."""
    route: Route = field(init=False)
    calls: Calls = field(init=False)
    hints: Hints = field(init=False)
    scrub: Scrub = field(init=False)
    servers: Sequence[Server] = ()
    in_use: int = 0
    unused: asyncio.Event = field(default_factory=asyncio.Event)
    _asking: asyncio.Task[None] | None = None

    def __post_init__(self) -> None:
        new = CLUSTER_BUCKETS if self.settings.mode is Mode.CLUSTER else SERVER_BUCKETS
        self.keys = Keys(self.settings.key_prefix, new)
        self.route = route(self.settings, self._ask_again)
        self.calls = Calls(self.settings, self.route)
        self.hints = Hints(self.settings, self.route, self.keys)
        self.scrub = Scrub(self.settings, self.route)

    async def connect(self) -> None:
        """Find the servers.

        Raises StorageUnavailable; FailedPrecondition where they cannot keep the store; InvalidArgument where the files
        for TLS cannot be used.
        """
        if self.settings.tls is not None:
            try:
                tls_context(self.settings.tls)
            except OSError as error:
                raise invalid("storage_url", f"the files for TLS cannot be used: {error.strerror}") from error
        try:
            async with asyncio.timeout(self.settings.operation_timeout_ms / 1000):
                await self.route.open()
                self.servers = [await inspect(node) for node in self.route.nodes()]
        except _FAILURES as error:
            cause = error.__cause__
            if self.settings.mode is Mode.CLUSTER and type(cause) is ResponseError:
                raise not_a_cluster() from error
            raise unavailable(error) from error
        for server in self.servers:
            refused = refusal(server, self.settings)
            if refused is not None:
                raise refused

    async def open(self) -> None:
        """Connect, and see to the schema. Raises SchemaMismatch too."""
        await self.connect()
        self.keys = await require_schema(self.calls, self.keys)

    async def close(self) -> None:
        """Wait for the calls under way, which end in time, and free everything."""
        while self.in_use:
            self.unused.clear()
            await self.unused.wait()
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.gather(self._asking, return_exceptions=True)
        await self.hints.close()
        await self.scrub.close()
        await self.route.close()

    def capabilities(self) -> Capabilities:
        """Return what the servers promised when they were last asked."""
        found = capabilities(self.servers, self.settings)
        more = [refused.message for server in self.servers if (refused := refusal(server, self.settings))]
        if self.scrub.refused:
            more.append("BGREWRITEAOF is not allowed: erased text stays in Redis' file until it is rewritten.")
        if self.settings.mode is Mode.CLUSTER and self.keys.buckets == SERVER_BUCKETS:
            more.append("The store was made on one server and is on one node: `memsvc copy` it to a new one.")
        return structs.replace(found, warnings=(*more, *found.warnings)) if more else found

    def _ask_again(self) -> None:
        """Another server may be there now, which promises less."""
        if self.servers and (self._asking is None or self._asking.done()):
            self._asking = asyncio.create_task(self._ask())

    async def _ask(self) -> None:
        with suppress(*_FAILURES, StorageUnavailable):
            async with asyncio.timeout(self.settings.operation_timeout_ms / 1000):
                self.servers = [await inspect(node) for node in self.route.nodes()]


@asynccontextmanager
async def _connected(store: _Store) -> AsyncIterator[_Store]:
    try:
        await store.connect()
        yield store
    finally:
        await store.close()


def _portions(rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
    """Yield rows as many at a time as one script should put; none once where there are none."""
    portion: list[Row] = []
    size = 0
    for row in rows:
        if portion and (len(portion) == _SEED_ROWS or size + len(row.body) > MAX_APPEND_BYTES):
            yield portion
            portion, size = [], 0
        portion.append(row)
        size += len(row.body)
    yield portion
