"""agno's memory manager on memsvc: the switches of an Agent stay as users know them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Any

from agno.db.schemas import UserMemory
from agno.memory import MemoryManager
from agno.models.message import Message

from memsvc_agno.db import MemsvcDb, user_memory
from memsvc_agno.messages import messages_of
from memsvc_client import ExtractionFailed, MemoryClient, MemoryServiceError, User
from memsvc_client.errors import service_is_down
from memsvc_client.turn import UNAVAILABLE

NOBODY = "default"
"""Whom agno means where no user is named."""
MAX_FOUND = 100
log = logging.getLogger("memsvc")


class MemsvcMemoryManager(MemoryManager):
    """`Agent(memory_manager=MemsvcMemoryManager(client), update_memory_on_run=True)`.

    Memories are learned by memsvc: with its engine, one call of its model a run, and only from what is near. Where
    they are given, the switches of agno's manager (add, update, delete, clear), its capture instructions, and
    `settings` (the schemas and prompts of layers) overrule what is configured. Without memory the agent answers; one
    line of the log says so.
    """

    def __init__(
        self,
        client: MemoryClient,
        *,
        memory_capture_instructions: str | None = None,
        additional_instructions: str | None = None,
        add_memories: bool | None = None,
        update_memories: bool | None = None,
        delete_memories: bool | None = None,
        clear_memories: bool | None = None,
        settings: dict[str, Any] | None = None,
        **agnos: Any,
    ) -> None:
        switches = {
            "add_memories": add_memories,
            "update_memories": update_memories,
            "delete_memories": delete_memories,
            "clear_memories": clear_memories,
        }
        super().__init__(
            db=MemsvcDb(client),
            memory_capture_instructions=memory_capture_instructions,
            additional_instructions=additional_instructions,
            **{name: allowed for name, allowed in switches.items() if allowed is not None},
            **agnos,
        )
        told = [each for each in (memory_capture_instructions, additional_instructions) if each]
        self._client = client
        self._is_down = False
        self._settings: dict[str, Any] = {
            **({"capture_instructions": "\n".join(told)} if told else {}),
            **{f"allow_{name.partition('_')[0]}": allowed for name, allowed in switches.items() if allowed is not None},
            **(settings or {}),
        }

    def get_user_memories(self, user_id: str | None = None) -> list[UserMemory]:
        """Return what is known of a user, oldest first; nothing where memory is down."""
        try:
            found: list[UserMemory] = self.db.get_user_memories(user_id=user_id or NOBODY)  # type: ignore[union-attr]
        except MemoryServiceError as failure:
            self._missed(failure)
            return []
        self._is_down = False
        return found

    async def aget_user_memories(self, user_id: str | None = None) -> list[UserMemory]:
        return await asyncio.to_thread(self.get_user_memories, user_id)

    def create_user_memories(
        self,
        message: str | None = None,
        messages: list[Message] | None = None,
        agent_id: str | None = None,
        team_id: str | None = None,
        user_id: str | None = None,
        run_metrics: Any = None,
    ) -> str:
        """Learn from messages, and return once it is done: agno waits for it at the end of a run, beside the answer."""
        said: Sequence[Any] = [("user", message)] if message else messages_of(messages or ())
        if not said:
            return "Nothing was said."
        try:
            commit = self._user(user_id, agent_id, team_id).learn(
                said, settings={"mode": "automatic", **self._settings}
            )
        except MemoryServiceError as failure:
            self._missed(failure)
            return UNAVAILABLE
        self._is_down = False
        self.memories_updated = bool(commit.changes)
        return f"{len(commit.changes)} memories changed."

    async def acreate_user_memories(
        self,
        message: str | None = None,
        messages: list[Message] | None = None,
        agent_id: str | None = None,
        team_id: str | None = None,
        user_id: str | None = None,
        run_metrics: Any = None,
    ) -> str:
        given = (message, messages, agent_id, team_id, user_id, run_metrics)
        return await asyncio.to_thread(self.create_user_memories, *given)

    def update_memory_task(self, task: str, user_id: str | None = None) -> str:
        """Carry out what the agent's model asks for in words."""
        try:
            settings = {"mode": "both", **self._settings}
            answer = self._user(user_id).call_tool("update_user_memory", {"task": task}, settings=settings)
        except MemoryServiceError as failure:
            self._missed(failure)
            return UNAVAILABLE
        self._is_down = False
        return answer.text

    async def aupdate_memory_task(self, task: str, user_id: str | None = None) -> str:
        return await asyncio.to_thread(self.update_memory_task, task, user_id)

    def search_user_memories(
        self,
        query: str | None = None,
        limit: int | None = None,
        retrieval_method: Any = None,
        user_id: str | None = None,
    ) -> list[UserMemory]:
        """Find memories: by meaning and words where there is a query, the newest or the oldest where there is none.

        "agentic" lets memsvc's model choose; a search finds at most 100.
        """
        method = retrieval_method or (None if query else "last_n")
        user = self._user(user_id)
        hits = user.memories.search(query or "", method=method, limit=min(limit or MAX_FOUND, MAX_FOUND))
        found = [user_memory(hit, user.user_id) for hit in hits]
        # As agno has them: the newest are last.
        return found[::-1] if method == "last_n" else found

    def clear_user_memories(self, user_id: str | None = None) -> None:
        self._user(user_id).memories.clear(all=True)

    async def aclear_user_memories(self, user_id: str | None = None) -> None:
        await asyncio.to_thread(self.clear_user_memories, user_id)

    def _user(self, user_id: str | None, agent_id: str | None = None, team_id: str | None = None) -> User:
        return self._client.user(user_id or NOBODY, agent_id=agent_id or "", team_id=team_id or "")

    def _missed(self, failure: MemoryServiceError) -> None:
        """Say that memory is down, once until it answers again. Raises what is an error of the caller's."""
        if isinstance(failure, ExtractionFailed):
            log.warning("learning_failed: %s", failure.reason)
        elif not service_is_down(failure):
            raise failure
        elif not self._is_down:
            self._is_down = True
            log.warning("memory_down: the agent goes on without it: %s %s", type(failure).__name__, failure.reason)
