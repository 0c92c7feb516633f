"""A database of agno whose memories are memsvc's: AgentOS's page of memories shows them, and changes them."""

from __future__ import annotations

import html
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

from agno.db.in_memory import InMemoryDb
from agno.db.in_memory.utils import apply_sorting
from agno.db.schemas import UserMemory

from memsvc_client import Memory, MemoryClient, NotFound, User


class MemsvcMemories:
    """The methods of an agno database that are about memories; a mixin: `class Mine(MemsvcMemories, SqliteDb)`.

    Where nobody is named it is about all users, which needs the right admin.
    """

    memsvc: MemoryClient
    """Set it before the first call."""

    def get_user_memory(self, memory_id: str, deserialize: bool | None = True, user_id: str | None = None) -> Any:
        for user in self._users(user_id):
            try:
                memory = user.memories.get(memory_id)
            except NotFound:
                continue
            return _given(user_memory(memory, user.user_id), deserialize)
        return None

    def get_user_memories(
        self,
        user_id: str | None = None,
        agent_id: str | None = None,
        team_id: str | None = None,
        topics: list[str] | None = None,
        search_content: str | None = None,
        limit: int | None = None,
        page: int | None = None,
        sort_by: str | None = None,
        sort_order: str | None = None,
        deserialize: bool | None = True,
    ) -> Any:
        chosen: dict[str, Any] = {
            "agent_ids": [agent_id] if agent_id else [],
            "team_ids": [team_id] if team_id else [],
            "topics_any": topics or [],
            "text_contains": search_content or "",
        }
        found = [
            user_memory(memory, user.user_id)
            for user in self._users(user_id)
            for memory in user.memories.list(chosen, order="create_time_asc", page_size=1000)
        ]
        rows = apply_sorting([each.to_dict() for each in found], sort_by, sort_order)
        several = rows if limit is None else rows[((page or 1) - 1) * limit :][:limit]
        if not deserialize:
            return several, len(rows)
        by_id = {(each.user_id, each.memory_id): each for each in found}
        return [by_id[row["user_id"], row["memory_id"]] for row in several]

    def get_all_memory_topics(self, user_id: str | None = None) -> list[str]:
        return sorted({each.topic for user in self._users(user_id) for each in user.topics()})

    def get_user_memory_stats(
        self, limit: int | None = None, page: int | None = None, user_id: str | None = None
    ) -> tuple[list[dict[str, Any]], int]:
        rows = []
        for user in self._users(user_id):
            stats = user.stats()
            if stats.memory_count:
                changed = _epoch(stats.update_time) or 0
                counted = {"total_memories": stats.memory_count, "last_memory_updated_at": changed}
                rows.append({"user_id": user.user_id, **counted})
        rows.sort(key=lambda row: row["last_memory_updated_at"], reverse=True)
        several = rows if limit is None else rows[((page or 1) - 1) * limit :][:limit]
        return several, len(rows)

    def upsert_user_memory(self, memory: UserMemory, deserialize: bool | None = True) -> Any:
        """Write one memory: what it is in, and what memsvc knows beside it, stays."""
        user = self.memsvc.user(memory.user_id, agent_id=memory.agent_id or "", team_id=memory.team_id or "")
        given: dict[str, Any] = {"text": memory.memory, "topics": memory.topics or [], "input": memory.input}
        if memory.memory_id is None:
            memory.memory_id = user.memories.add(duplicate=True, **given)
        else:
            try:
                user.memories.update(memory.memory_id, **given)
            except NotFound:
                user.memories.add(memory_id=memory.memory_id, **given)
        return _given(user_memory(user.memories.get(memory.memory_id), user.user_id), deserialize)

    def upsert_memories(
        self, memories: list[UserMemory], deserialize: bool | None = True, preserve_updated_at: bool = False
    ) -> list[Any]:
        return [self.upsert_user_memory(each, deserialize) for each in memories]

    def delete_user_memory(self, memory_id: str, user_id: str | None = None) -> None:
        self.delete_user_memories([memory_id], user_id)

    def delete_user_memories(self, memory_ids: list[str], user_id: str | None = None) -> None:
        for user in self._users(user_id):
            for memory_id in memory_ids:
                user.memories.delete(memory_id, allow_missing=True)

    def clear_memories(self) -> None:
        for user in self._users(None):
            user.memories.clear(all=True)

    def _users(self, user_id: str | None) -> Iterator[User]:
        ids: Iterable[str] = self.memsvc.users() if user_id is None else [user_id]
        return (self.memsvc.user(each) for each in ids)


class MemsvcDb(MemsvcMemories, InMemoryDb):
    """Memories in memsvc, all else in RAM: `Agent(db=MemsvcDb(client))`, `AgentOS(db=...)`."""

    def __init__(self, client: MemoryClient) -> None:
        super().__init__()
        self.memsvc = client


class PromptText(str):
    """A text that closes no tag where it is put into a prompt, as agno does: by an f-string, as it is."""

    __slots__ = ()

    def __format__(self, spec: str) -> str:
        return format(html.escape(str(self), quote=False), spec)


def user_memory(memory: Memory, user_id: str) -> UserMemory:
    """Return a memory as agno has them."""
    return UserMemory(
        memory=PromptText(memory.memory),
        memory_id=memory.memory_id,
        topics=list(memory.topics),
        user_id=user_id,
        input=memory.input or None,
        created_at=_epoch(memory.create_time),
        updated_at=_epoch(memory.update_time),
        agent_id=memory.agent_id or None,
        team_id=memory.team_id or None,
    )


def _given(memory: UserMemory, deserialize: bool | None) -> Any:
    return memory if deserialize else memory.to_dict()


def _epoch(time: datetime | None) -> int | None:
    return None if time is None else int(time.astimezone(UTC).timestamp())
