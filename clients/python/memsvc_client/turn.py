"""One turn of an agent: context in, tools meanwhile, the run out. Adapters to agent frameworks are made of it.

    turn = Turn(client, "sarah", "session-7")
    prompt = turn.context(query="How do I clean data?")
    ...  # the model answers
    turn.append([("user", "How do I clean data?"), ("assistant", "With pandas.")])

An agent answers without its memory where that is down: the context is empty, the run is not stored, and one line of
the log says so. Each method has a twin for asyncio (`acontext`), which takes a blocking client too: in a thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import uuid
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias, cast

from memsvc.v1 import common_pb2, message_pb2
from memsvc_client.async_client import AsyncMemoryClient, AsyncUser
from memsvc_client.client import MemoryClient, User
from memsvc_client.context_calls import Context
from memsvc_client.errors import AlreadyExists, ClientMisused, MemoryServiceError, service_is_down
from memsvc_client.memory import SearchHit
from memsvc_client.message import MessageLike
from memsvc_client.session_calls import RunReceipt
from memsvc_client.settings import Settings
from memsvc_client.storable import storable, text_of_memory
from memsvc_client.tool_calls import ToolDefinition

AnyMemoryClient: TypeAlias = MemoryClient | AsyncMemoryClient

LATE_APPEND_SECONDS = 1.0
"""Where memory did not answer before in the turn: frameworks wait for what follows the answer."""
QUERY_BYTES = 8 << 10
UNAVAILABLE = "Memory is not available right now. Answer without it."
"""What a model is told that calls a tool meanwhile."""
MODES_WITH_TOOLS = ("agentic", "both")

log = logging.getLogger("memsvc")


class Turn:
    """What one turn asks of memory, for one user. Not to be shared between threads."""

    def __init__(
        self,
        client: AnyMemoryClient,
        user_id: str | None,
        session_id: str,
        *,
        agent_id: str = "",
        team_id: str = "",
        mode: str | None = None,
    ) -> None:
        """`mode` overrules what is configured: "automatic", "agentic", "both", "off".

        A user_id of None is the client's default user. Raises ValueError where nobody is meant.
        """
        self.session_id = session_id
        self.user: User | AsyncUser = client.user(user_id, agent_id=agent_id, team_id=team_id)
        self.failure: MemoryServiceError | None = None
        """Why memory did not answer, where it did not; it is logged once."""
        self.shown_memory_ids: tuple[str, ...] = ()
        """What the model saw."""
        self._settings: Settings | None = None if mode is None else {"mode": mode}

    def context(self, query: str = "", **options: Any) -> str:
        """Return what is known of the user, for a system prompt; "" where memory is down. Options as `user.context`."""
        return self._shown(self._blocking.context(_question(query), **self._asked(options)))

    async def acontext(self, query: str = "", **options: Any) -> str:
        return self._shown(await self.awaited(self.user.context, _question(query), **self._asked(options)))

    def tools(self) -> list[ToolDefinition]:
        """List the tools that the configuration allows: name, description, parameters; none where memory is down."""
        if self.failure is not None:
            return []
        try:
            return self._blocking.tools("generic", settings=self._settings)
        except MemoryServiceError as failure:
            self.missed(failure)
            return []

    async def atools(self) -> list[ToolDefinition]:
        if self.failure is not None:
            return []
        try:
            listed = await self.awaited(self.user.tools, "generic", settings=self._settings)
        except MemoryServiceError as failure:
            self.missed(failure)
            return []
        return cast("list[ToolDefinition]", listed)

    def call_tool(self, name: str, arguments: Any, call_id: str = "", **options: Any) -> str:
        """Carry out a call of the model's; return what to tell it."""
        try:
            return self._blocking.call_tool(name, arguments, **self._called(call_id, options)).text
        except MemoryServiceError as failure:
            self.missed(failure)
            return UNAVAILABLE

    async def acall_tool(self, name: str, arguments: Any, call_id: str = "", **options: Any) -> str:
        try:
            answer = await self.awaited(self.user.call_tool, name, arguments, **self._called(call_id, options))
        except MemoryServiceError as failure:
            self.missed(failure)
            return UNAVAILABLE
        return cast("str", answer.text)

    async def asearch(self, query: str, **options: Any) -> list[SearchHit]:
        """Find memories, best first; none where memory is down. Options as `user.memories.search`."""
        try:
            return list(await self.awaited(self.user.memories.search, _question(query), **options))
        except MemoryServiceError as failure:
            self.missed(failure)
            return []

    def append(self, messages: Iterable[MessageLike], run_id: str = "", **options: Any) -> RunReceipt | None:
        """Store the run, to be learned from; None where that cannot be. Options as `user.append_run`.

        What is too much for one run is stored as several, one after the other: the receipt is of the last one.
        """
        receipt = None
        try:
            for given, name, chosen in _runs(messages, run_id, options):
                try:
                    stored = self._blocking.append_run(self.session_id, given, run_id=name, **self._stored(chosen))
                except AlreadyExists:
                    # A run that was taken up again: what it holds already is not stored twice.
                    stored = self._blocking.append_run(self.session_id, given, **self._stored(chosen))
                receipt = stored
        except (MemoryServiceError, ValueError, TypeError) as failure:
            self._not_stored(failure)
            return None
        return receipt

    async def aappend(self, messages: Iterable[MessageLike], run_id: str = "", **options: Any) -> RunReceipt | None:
        append, receipt = self.user.append_run, None
        try:
            for given, name, chosen in _runs(messages, run_id, options):
                try:
                    stored = await self.awaited(append, self.session_id, given, run_id=name, **self._stored(chosen))
                except AlreadyExists:
                    stored = await self.awaited(append, self.session_id, given, **self._stored(chosen))
                receipt = cast("RunReceipt", stored)
        except (MemoryServiceError, ValueError, TypeError) as failure:
            self._not_stored(failure)
            return None
        return receipt

    async def aappend_once(self, messages: Iterable[MessageLike], run_id: str, **options: Any) -> bool:
        """Store a run that may be stored already, and tell whether it is: a framework hands over again what it held.

        False with a `failure`: memory is down, and the run may be given again; without: it can never be stored.
        """
        append = self.user.append_run
        try:
            for given, name, chosen in _runs(messages, run_id, options):
                with contextlib.suppress(AlreadyExists):
                    await self.awaited(append, self.session_id, given, run_id=name, **self._stored(chosen))
        except (MemoryServiceError, ValueError, TypeError) as failure:
            self._not_stored(failure)
            return False
        return True

    async def awaited(self, method: Callable[..., Any], *args: Any, **options: Any) -> Any:
        """Call a method of the user's: in a thread, where the client blocks."""
        if isinstance(self.user, AsyncUser):
            return await cast("Awaitable[Any]", method(*args, **options))
        return await asyncio.to_thread(method, *args, **options)

    @property
    def _blocking(self) -> User:
        if isinstance(self.user, AsyncUser):
            raise ClientMisused("an AsyncMemoryClient is for agents that run with asyncio: give a MemoryClient")
        return self.user

    def _asked(self, options: dict[str, Any]) -> dict[str, Any]:
        return {"or_empty": True, "settings": self._settings, **options}

    def _shown(self, context: Context) -> str:
        if context.failure is not None:
            self.missed(context.failure)
        self.shown_memory_ids = context.memory_ids
        return context.text

    def _called(self, call_id: str, options: dict[str, Any]) -> dict[str, Any]:
        return {"call_id": call_id, "session_id": self.session_id, "settings": self._settings, **options}

    def _stored(self, options: dict[str, Any]) -> dict[str, Any]:
        given = {"settings": self._settings, "timeout": None if self.failure is None else LATE_APPEND_SECONDS}
        return {**given, "context_memory_ids": self.shown_memory_ids, "request_id": str(uuid.uuid4()), **options}

    def missed(self, failure: MemoryServiceError) -> None:
        """Say once that memory is down. Raises what is an error of the caller's."""
        if not service_is_down(failure):
            raise failure
        if self.failure is None:
            log.warning("memory_down: the agent goes on without it: %s", _short(failure))
        self.failure = failure

    def _not_stored(self, failure: Exception) -> None:
        """Say that a run is lost to memory, unless that is clear already. The answer is not lost for it."""
        if isinstance(failure, ClientMisused):
            raise failure
        if isinstance(failure, MemoryServiceError) and service_is_down(failure):
            self.missed(failure)
        else:
            log.error("run_not_stored: %s", _short(failure))


def _runs(
    messages: Iterable[MessageLike], run_id: str, options: Mapping[str, Any]
) -> Iterator[tuple[Sequence[message_pb2.Message], str, dict[str, Any]]]:
    """Yield what one run takes, with its id and options: the second one's is that of the first with -2 behind it."""
    skips = options.get("skip_stored", True)
    for number, given in enumerate(storable(messages), 1):
        if number == 1:
            yield given, run_id, dict(options)
        elif new := [each for each in given if not skips or each.role != common_pb2.ROLE_SYSTEM]:
            # What follows is new, also where it is the same as what the first one ends with, and replaces nothing.
            name = run_id and f"{run_id}-{number}"
            yield new, name, {**options, "replaces_run_id": "", "skip_stored": False}


def _question(said: str) -> str:
    """Return as much of what was said as a query may hold: the end, where people ask."""
    return text_of_memory(said).encode()[-QUERY_BYTES:].decode(errors="ignore")


def _short(failure: Exception) -> str:
    """Say what failed, without a word of what was said."""
    if isinstance(failure, MemoryServiceError):
        fields = ", ".join(f"{each.field} {each.description}" for each in failure.fields)
        return f"{type(failure).__name__} {failure.reason} {fields or failure.message}".replace("  ", " ")
    return type(failure).__name__
