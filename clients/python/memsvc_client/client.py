"""The blocking client. What each method does is written once, in the *_calls modules, for this and async_client.py."""

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
from memsvc_client.calls import Subject
from memsvc_client.channel import Deadlines, Endpoint
from memsvc_client.connection import Connection
from memsvc_client.handle import Client, Handle, method


class MemoryClient(Client[Connection, "User"]):
    """A connection to a memory service, to be closed or used in a `with`. Safe to share between threads."""

    users = method(user_calls.list_users, Connection.pages)
    server_info = method(user_calls.server_info, Connection.call)
    retry_all = method(extraction_calls.retry_all, Connection.pages)
    erase_namespace = method(moving_calls.erase_namespace, Connection.steps)

    def close(self) -> None:
        """Close the connection. A server of its own ends soon after its last client."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    @property
    def config(self) -> Config:
        """The configuration of the client's namespace, and of agents in it."""
        return Config(self._connection, self._subject)

    def _connect(self, endpoint: Endpoint, deadlines: Deadlines) -> Connection:
        return Connection(endpoint, deadlines)

    def _user(self, subject: Subject) -> User:
        return User(self._connection, subject)


class User(Handle[Connection]):
    """One user's memory."""

    def __init__(self, connection: Connection, subject: Subject) -> None:
        super().__init__(connection, subject)
        self.user_id = subject.user_id
        self.memories = Memories(connection, subject)
        self.extractions = Extractions(connection, subject)

    context = method(context_calls.context, Connection.call)
    append_run = method(session_calls.append_run, Connection.call)
    learn = method(extraction_calls.learn, Connection.gather)
    extract = method(extraction_calls.extract, Connection.stream)
    observe = method(observation.observe, Connection.observe)
    get = method(user_calls.get, Connection.call)
    history = method(session_calls.history, Connection.call)
    search_history = method(history_calls.search_history, Connection.call)
    runs = method(session_calls.runs, Connection.pages)
    session = method(session_calls.session, Connection.call)
    sessions = method(session_calls.sessions, Connection.pages)
    summarize = method(session_calls.summarize, Connection.call)
    delete_session = method(session_calls.delete_session, Connection.call)
    tools = method(tool_calls.tools, Connection.call)
    call_tool = method(tool_calls.call_tool, Connection.call)
    run_tool_calls = method(tool_calls.run_tool_calls, Connection.steps)
    topics = method(memory_calls.topics, Connection.pages)
    changes = method(memory_calls.changes, Connection.pages)
    watch = method(watch_calls.watch, Connection.stream)
    stats = method(user_calls.stats, Connection.call)
    export = method(moving_calls.export, Connection.pages)
    export_page = method(moving_calls.export_page, Connection.call)
    import_records = method(moving_calls.import_records, Connection.steps)
    erase = method(user_calls.erase, Connection.call)


class Memories(Handle[Connection]):
    """One user's memories, one by one."""

    add = method(memory_calls.add, Connection.call)
    get = method(memory_calls.get, Connection.call)
    update = method(memory_calls.update, Connection.call)
    replace = method(memory_calls.replace, Connection.call)
    upsert = method(memory_calls.upsert, Connection.call)
    delete = method(memory_calls.delete, Connection.call)
    search = method(memory_calls.search, Connection.call)
    list = method(memory_calls.list_memories, Connection.pages)
    batch = method(memory_calls.batch, Connection.call)
    clear = method(memory_calls.clear, Connection.call)
    undo = method(memory_calls.undo, Connection.call)
    restore = method(memory_calls.restore, Connection.call)
    consolidate = method(consolidation_calls.consolidate, Connection.call)


class Extractions(Handle[Connection]):
    """The jobs that learn for one user."""

    get = method(extraction_calls.get, Connection.call)
    list = method(extraction_calls.list_extractions, Connection.pages)
    watch = method(extraction_calls.watch, Connection.stream)
    cancel = method(extraction_calls.cancel, Connection.call)
    retry = method(extraction_calls.retry, Connection.call)


class Config(Handle[Connection]):
    """What is configured of memory."""

    get = method(config_calls.get, Connection.call)
    update = method(config_calls.update, Connection.call)
