"""memsvc as the memory service of ADK's runners."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from google.adk.events import Event
from google.adk.memory import BaseMemoryService
from google.adk.memory.base_memory_service import SearchMemoryResponse
from google.adk.memory.memory_entry import MemoryEntry
from google.adk.sessions import Session
from google.genai import types

from memsvc_adk.messages import text_of
from memsvc_adk.runs import StoredRuns
from memsvc_client import MemoryServiceError, SearchHit
from memsvc_client.turn import AnyMemoryClient, Turn

MAX_FOUND = 10
"""As many as ADK's own service finds."""
UserOf: TypeAlias = Callable[[str, str], str]


def same_user(app_name: str, user_id: str) -> str:
    """Return the user of memsvc that ADK's user of an app is: by default the same in every app."""
    return user_id


class MemsvcMemoryService(BaseMemoryService):
    """`Runner(..., memory_service=MemsvcMemoryService(client))`, with ADK's own load_memory and preload_memory tools.

    Sessions may be added again and again: each invocation is stored once. Where memory is down nothing is found or
    stored, and one line of the log says so until it answers again; what was not stored goes along the next time that
    its session is added. Adding or deleting single memories raises MemoryServiceError.

    `user` says whose memory it is, by the app's name and ADK's user: two apps with the same users share it, unless
    that tells them apart, or their clients have namespaces of their own.
    """

    def __init__(
        self,
        client: AnyMemoryClient,
        *,
        user: UserOf = same_user,
        mode: str | None = None,
        agent_id: str = "",
        max_results: int = MAX_FOUND,
    ) -> None:
        self._client = client
        self._user = user
        self._mode = mode
        self._agent_id = agent_id
        self._max_results = max_results
        self._runs = StoredRuns()
        self._failure: MemoryServiceError | None = None

    async def add_session_to_memory(self, session: Session) -> None:
        await self._store(self._turn(session.app_name, session.user_id, session.id), session.events)

    async def add_events_to_memory(
        self,
        *,
        app_name: str,
        user_id: str,
        events: Sequence[Event],
        session_id: str | None = None,
        custom_metadata: Mapping[str, object] | None = None,
    ) -> None:
        """Store events of a session; where none is named, those of each invocation are a session of their own."""
        sessions = {session_id or event.invocation_id: None for event in events}
        for each in sessions:
            its = [event for event in events if session_id or event.invocation_id == each]
            await self._store(self._turn(app_name, user_id, each), its)

    async def add_memory(
        self,
        *,
        app_name: str,
        user_id: str,
        memories: Sequence[MemoryEntry],
        custom_metadata: Mapping[str, object] | None = None,
    ) -> None:
        """Remember texts as they are."""
        turn = self._turn(app_name, user_id)
        for entry in memories:
            given = {name: str(value) for name, value in {**(custom_metadata or {}), **entry.custom_metadata}.items()}
            await turn.awaited(turn.user.memories.add, text_of(entry.content), metadata=given)

    async def search_memory(self, *, app_name: str, user_id: str, query: str) -> SearchMemoryResponse:
        turn = self._turn(app_name, user_id)
        hits = await turn.asearch(query, limit=self._max_results)
        self._keep(turn)
        return SearchMemoryResponse(memories=[_entry(hit) for hit in hits])

    async def delete_memory(self, *, app_name: str, user_id: str, memory_id: str | None = None) -> None:
        if memory_id:
            turn = self._turn(app_name, user_id)
            await turn.awaited(turn.user.memories.delete, memory_id, allow_missing=True)

    async def _store(self, turn: Turn, events: Sequence[Event]) -> None:
        await self._runs.store(turn, events)
        self._keep(turn)

    def _turn(self, app_name: str, user_id: str, session_id: str = "") -> Turn:
        user = self._user(app_name, user_id)
        turn = Turn(self._client, user, session_id, agent_id=self._agent_id, mode=self._mode)
        # It is logged once until memory answers again.
        turn.failure = self._failure
        return turn

    def _keep(self, turn: Turn) -> None:
        self._failure = None if turn.failure is self._failure else turn.failure


def _entry(hit: SearchHit) -> MemoryEntry:
    time = hit.observe_time or hit.create_time
    return MemoryEntry(
        id=hit.memory_id,
        content=types.Content(role="user", parts=[types.Part(text=hit.memory)]),
        timestamp=time.isoformat() if time else None,
        custom_metadata={**hit.metadata, "layer": str(hit.layer), "topics": list(hit.topics)},
    )
