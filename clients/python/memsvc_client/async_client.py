"""The client for asyncio: client.py with `await`, `async for` and `async with`."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from memsvc_client import (
    config_calls,
    consolidation_calls,
    context_calls,
    extraction_calls,
    history_calls,
    memory_calls,
    moving_calls,
    observation,
    session_calls,
    tool_calls,
    user_calls,
    watch_calls,
)
from memsvc_client.async_connection import AsyncConnection
from memsvc_client.calls import Subject
from memsvc_client.channel import Deadlines, Endpoint
from memsvc_client.handle import Client, Handle, method


class AsyncMemoryClient(Client[AsyncConnection, "AsyncUser"]):
    """A connection to a memory service, to be closed or used in an `async with`.

    It belongs to the event loop that first uses it; `local` starts its server then, not before.
    """

    users = method(user_calls.list_users, AsyncConnection.pages)
    server_info = method(user_calls.server_info, AsyncConnection.call)
    retry_all = method(extraction_calls.retry_all, AsyncConnection.pages)
    erase_namespace = method(moving_calls.erase_namespace, AsyncConnection.steps)

    async def close(self) -> None:
        """Close the connection. A server of its own ends soon after its last client."""
        await self._connection.close()

    async def __aenter__(self) -> Self:
        await self._connection.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def config(self) -> AsyncConfig:
        """The configuration of the client's namespace, and of agents in it."""
        return AsyncConfig(self._connection, self._subject)

    def _connect(self, endpoint: Endpoint, deadlines: Deadlines) -> AsyncConnection:
        return AsyncConnection(endpoint, deadlines)

    def _user(self, subject: Subject) -> AsyncUser:
        return AsyncUser(self._connection, subject)


class AsyncUser(Handle[AsyncConnection]):
    """One user's memory, for asyncio."""

    def __init__(self, connection: AsyncConnection, subject: Subject) -> None:
        super().__init__(connection, subject)
        self.user_id = subject.user_id
        self.memories = AsyncMemories(connection, subject)
        self.extractions = AsyncExtractions(connection, subject)

    context = method(context_calls.context, AsyncConnection.call)
    append_run = method(session_calls.append_run, AsyncConnection.call)
    learn = method(extraction_calls.learn, AsyncConnection.gather)
    extract = method(extraction_calls.extract, AsyncConnection.stream)
    observe = method(observation.observe, AsyncConnection.observe)
    get = method(user_calls.get, AsyncConnection.call)
    history = method(session_calls.history, AsyncConnection.call)
    search_history = method(history_calls.search_history, AsyncConnection.call)
    runs = method(session_calls.runs, AsyncConnection.pages)
    session = method(session_calls.session, AsyncConnection.call)
    sessions = method(session_calls.sessions, AsyncConnection.pages)
    summarize = method(session_calls.summarize, AsyncConnection.call)
    delete_session = method(session_calls.delete_session, AsyncConnection.call)
    tools = method(tool_calls.tools, AsyncConnection.call)
    call_tool = method(tool_calls.call_tool, AsyncConnection.call)
    run_tool_calls = method(tool_calls.run_tool_calls, AsyncConnection.steps)
    topics = method(memory_calls.topics, AsyncConnection.pages)
    changes = method(memory_calls.changes, AsyncConnection.pages)
    watch = method(watch_calls.watch, AsyncConnection.stream)
    stats = method(user_calls.stats, AsyncConnection.call)
    export = method(moving_calls.export, AsyncConnection.pages)
    export_page = method(moving_calls.export_page, AsyncConnection.call)
    import_records = method(moving_calls.import_records, AsyncConnection.steps)
    erase = method(user_calls.erase, AsyncConnection.call)


class AsyncMemories(Handle[AsyncConnection]):
    """One user's memories, one by one."""

    add = method(memory_calls.add, AsyncConnection.call)
    get = method(memory_calls.get, AsyncConnection.call)
    update = method(memory_calls.update, AsyncConnection.call)
    replace = method(memory_calls.replace, AsyncConnection.call)
    upsert = method(memory_calls.upsert, AsyncConnection.call)
    delete = method(memory_calls.delete, AsyncConnection.call)
    search = method(memory_calls.search, AsyncConnection.call)
    list = method(memory_calls.list_memories, AsyncConnection.pages)
    batch = method(memory_calls.batch, AsyncConnection.call)
    clear = method(memory_calls.clear, AsyncConnection.call)
    undo = method(memory_calls.undo, AsyncConnection.call)
    restore = method(memory_calls.restore, AsyncConnection.call)
    consolidate = method(consolidation_calls.consolidate, AsyncConnection.call)


class AsyncExtractions(Handle[AsyncConnection]):
    """The jobs that learn for one user."""

    get = method(extraction_calls.get, AsyncConnection.call)
    list = method(extraction_calls.list_extractions, AsyncConnection.pages)
    watch = method(extraction_calls.watch, AsyncConnection.stream)
    cancel = method(extraction_calls.cancel, AsyncConnection.call)
    retry = method(extraction_calls.retry, AsyncConnection.call)


class AsyncConfig(Handle[AsyncConnection]):
    """What is configured of memory."""

    get = method(config_calls.get, AsyncConnection.call)
    update = method(config_calls.update, AsyncConnection.call)
