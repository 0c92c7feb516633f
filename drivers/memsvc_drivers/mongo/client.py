"""The one module that knows motor: a client, its collections, and how calls end in time.

Motor runs PyMongo in threads, and a thread that waits for a frozen server cannot be stopped: it ends with the socket's
timeout. So a call holds one of `pool_size` permits until its thread has ended, while its caller is told in time.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any, TypeVar

from motor.motor_asyncio import AsyncIOMotorClient, AsyncIOMotorCollection, AsyncIOMotorDatabase
from pymongo import DeleteMany, IndexModel, ReplaceOne, UpdateMany, UpdateOne, monitoring
from pymongo.errors import BulkWriteError, ConfigurationError, DuplicateKeyError, PyMongoError
from pymongo.read_concern import ReadConcern

from memsvc.errors import StorageUnavailable
from memsvc.log import Log
from memsvc_drivers.mongo.errors import DUPLICATE_KEY, failed, refused
from memsvc_drivers.mongo.settings import Settings, not_a_url

_T = TypeVar("_T")

log = Log(__name__)

Document = Mapping[str, Any]
Write = DeleteMany | ReplaceOne[Any] | UpdateMany | UpdateOne

_BATCH_DOCUMENTS = 10_000
"""What one reply may hold, beyond the 16 MB that bound it anyway: MongoDB's own first reply holds 101."""

_SINGLY = 100
_HEARTBEAT_MS = 2_000
_WATCH_AGAIN_SECONDS = 1.0


class Client:
    """Connections to one database, all calls with the concerns that the driver needs."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._losses = _Losses()
        self._permits = asyncio.Semaphore(settings.pool_size)
        self._motor: AsyncIOMotorClient[Any] | None = None
        self.scans = False
        """Whether the server reads the whole collection for any filter but one of `_id` alone."""
        self._database: AsyncIOMotorDatabase[Any]

    @property
    def losses(self) -> int:
        """How often a connection broke: what was known of the server's data before holds no longer."""
        return self._losses.count

    @property
    def is_open(self) -> bool:
        return self._motor is not None

    async def connect(self) -> None:
        """Make the client; a host is looked for by the first call."""
        settings, loop = self._settings, asyncio.get_running_loop()

        def make() -> AsyncIOMotorClient[Any]:
            return AsyncIOMotorClient(
                settings.url,
                io_loop=loop,
                appname="memsvc",
                event_listeners=[self._losses],
                connectTimeoutMS=settings.connect_timeout_ms,
                serverSelectionTimeoutMS=settings.connect_timeout_ms,
                socketTimeoutMS=settings.operation_timeout_ms,
                waitQueueTimeoutMS=settings.operation_timeout_ms,
                maxPoolSize=settings.pool_size,
                # A monitor that gets no answer frees the threads that wait for one.
                heartbeatFrequencyMS=_HEARTBEAT_MS,
                w="majority",
                journal=True,
                wTimeoutMS=settings.operation_timeout_ms,
                readPreference="primary",
                # A retried insert reports its own first try as a duplicate.
                retryWrites=False,
            )

        with _translated():
            # In a thread: mongodb+srv looks its hosts up in the DNS.
            try:
                self._motor = await asyncio.to_thread(make)
            except (ConfigurationError, ValueError):
                # Neither the text nor the cause: they may quote the URL.
                raise not_a_url() from None
        self._database = self._motor[settings.database]

    async def close(self) -> None:
        """Close every connection; what is under way ends with an error."""
        client, self._motor = self._motor, None
        if client is None:
            return
        with suppress(TimeoutError, PyMongoError):
            async with asyncio.timeout(self._settings.connect_timeout_ms / 1000):
                # In a thread: it tells the server goodbye, which may be frozen.
                await asyncio.to_thread(client.delegate.close)

    def adapt(self, *, scans: bool, replicated: bool) -> None:
        """Call as suits the server: collections that are asked for from now on."""
        assert self._motor
        self.scans = scans
        if replicated:
            concern = ReadConcern(str(self._settings.read_concern))
            self._database = self._motor.get_database(self._settings.database, read_concern=concern)

    @asynccontextmanager
    async def in_time(self) -> AsyncIterator[None]:
        """End what is inside within the operation timeout, with StorageUnavailable."""
        try:
            async with asyncio.timeout(self._settings.operation_timeout_ms / 1000):
                yield
        except TimeoutError as error:
            raise StorageUnavailable("database did not answer in time") from error

    async def ping(self) -> None:
        """Return if a server that takes writes answers."""
        await self.run(lambda: self._database.command("ping"))

    async def ask(self, command: str) -> Mapping[str, Any]:
        """Return the reply to a command on the database `admin`. Raises PyMongoError as it is."""
        assert self._motor
        reply: Mapping[str, Any] = await self._motor.admin.command(command)
        return reply

    async def drop(self) -> None:
        """Drop the whole database."""
        assert self._motor
        motor = self._motor
        await self.run(lambda: motor.drop_database(self._settings.database))

    def collection(self, name: str) -> Collection:
        """Return a collection of the database."""
        return Collection(self, self._database[name])

    def foreign(self, database: str, name: str) -> Collection:
        """Return a collection of another database on the server."""
        assert self._motor
        return Collection(self, self._motor[database][name])

    async def run(self, call: Callable[[], Awaitable[_T]]) -> _T:
        """Return what a call of motor's does. Raises the contract's errors, but BulkWriteError as it is."""
        await self._permits.acquire()
        running = asyncio.ensure_future(_as_coroutine(call))
        running.add_done_callback(self._ended)
        with _translated(self._server_errors):
            return await asyncio.shield(running)

    def _server_errors(self) -> Sequence[BaseException]:
        """Return why the servers that are known do not answer."""
        if self._motor is None:
            return ()
        servers = self._motor.delegate.topology_description.server_descriptions().values()
        return [server.error for server in servers if server.error is not None]

    def _ended(self, running: asyncio.Future[Any]) -> None:
        self._permits.release()
        # Of a call that nobody waits for any more the error is of no interest.
        if not running.cancelled():
            running.exception()


class Collection:
    """One collection, with the few calls that the driver makes."""

    def __init__(self, client: Client, motor: AsyncIOMotorCollection[Any]) -> None:
        self._client = client
        self._motor = motor

    @property
    def scans(self) -> bool:
        """Whether any filter but one of `_id` alone reads the whole collection."""
        return self._client.scans

    async def find(
        self,
        query: Document,
        fields: Sequence[str],
        *,
        sort: Sequence[tuple[str, int]] = (),
        limit: int = 0,
    ) -> list[dict[str, Any]]:
        """Return these fields of the documents that match; `_id` only if named."""
        projection = {"_id": False, **dict.fromkeys(fields, True)}
        return await self._client.run(
            lambda: self._motor.find(
                query, projection, sort=list(sort) or None, limit=limit, batch_size=_BATCH_DOCUMENTS
            ).to_list(None)
        )

    async def insert(self, documents: Sequence[dict[str, Any]]) -> Mapping[int, int]:
        """Insert each document by itself; return the server's error code for those that it refused, by index.

        Raises StorageUnavailable where any may or may not be there.
        """
        if len(documents) == 1:
            try:
                await self._client.run(lambda: self._motor.insert_one(documents[0]))
            except DuplicateKeyError:
                return {0: DUPLICATE_KEY}
            return {}
        try:
            await self._client.run(lambda: self._motor.insert_many(documents, ordered=False))
        except BulkWriteError as error:
            return {entry["index"]: entry["code"] for entry in _write_errors(error)}
        return {}

    async def write(self, writes: Sequence[Write]) -> None:
        """Do all of these, in order; an error ends it."""
        try:
            await self._client.run(lambda: self._motor.bulk_write(writes))
        except BulkWriteError as error:
            raise refused(_write_errors(error)[0]["code"]) from error

    def among(self, ids: Sequence[str], users: Iterable[str]) -> Sequence[Document]:
        """Return filters for documents of these users by `_id`: one for all, where the server finds them so."""
        if self._client.scans and len(ids) <= _SINGLY:
            return [{"_id": document_id} for document_id in ids]
        return [{"_id": {"$in": list(ids)}, "u": {"$in": list(users)}}] if ids else []

    async def create_indexes(self, indexes: Sequence[IndexModel]) -> None:
        """Create those that are not there, and the collection."""
        await self._client.run(lambda: self._motor.create_indexes(list(indexes)))

    async def inserted_ids(self) -> AsyncIterator[str | None]:
        """Yield the `_id`s that are inserted from now on; None where some may have been missed."""
        pipeline: list[Document] = [{"$match": {"operationType": "insert"}}, {"$project": {"documentKey._id": True}}]
        # The only read concern that a change stream takes.
        watched = self._motor.with_options(read_concern=ReadConcern("majority"))
        while self._client.is_open:
            try:
                async with watched.watch(pipeline, max_await_time_ms=1_000) as changes:
                    yield None
                    async for change in changes:
                        yield change["documentKey"]["_id"]
            except PyMongoError as error:
                log.info("watch_failed", error=type(error).__name__)
                await asyncio.sleep(_WATCH_AGAIN_SECONDS)


class _Losses(monitoring.ConnectionPoolListener):
    """Counts connections that broke. Called in PyMongo's threads."""

    def __init__(self) -> None:
        self.count = 0

    def pool_cleared(self, event: Any) -> None:
        self.count += 1

    def connection_closed(self, event: Any) -> None:
        if event.reason in (monitoring.ConnectionClosedReason.STALE, monitoring.ConnectionClosedReason.ERROR):
            self.count += 1

    def pool_created(self, event: Any) -> None: ...

    def pool_ready(self, event: Any) -> None: ...

    def pool_closed(self, event: Any) -> None: ...

    def connection_created(self, event: Any) -> None: ...

    def connection_ready(self, event: Any) -> None: ...

    def connection_check_out_started(self, event: Any) -> None: ...

    def connection_check_out_failed(self, event: Any) -> None: ...

    def connection_checked_out(self, event: Any) -> None: ...

    def connection_checked_in(self, event: Any) -> None: ...


async def _as_coroutine(call: Callable[[], Awaitable[_T]]) -> _T:
    return await call()


@contextmanager
def _translated(server_errors: Callable[[], Sequence[BaseException]] = tuple) -> Iterator[None]:
    try:
        yield
    except (BulkWriteError, DuplicateKeyError):
        raise
    except PyMongoError as error:
        raise failed(error, server_errors()) from error


def _write_errors(error: BulkWriteError) -> Sequence[Mapping[str, Any]]:
    """Return the errors of single documents. Raises StorageUnavailable where those without one may be lost too."""
    details = error.details or {}
    concern = details.get("writeConcernErrors")
    if concern:
        raise refused(concern[0].get("code", 0)) from error
    errors: Sequence[Mapping[str, Any]] = details["writeErrors"]
    return errors
