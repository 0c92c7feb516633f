"""A user's memory as a store of Strands' memory managers."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from typing import Any

from strands.memory import (
    AddMessagesContext,
    ExtractionConfig,
    InvocationTrigger,
    MemoryEntry,
    MemoryMessageFilter,
    MemoryStore,
    SearchOptions,
)
from strands.tools.tools import PythonAgentTool
from strands.types.content import Message
from strands.types.tools import AgentTool, ToolResult, ToolUse

from memsvc_client import MemoryClient
from memsvc_client.tool_calls import ToolDefinition
from memsvc_client.turn import MODES_WITH_TOOLS, Turn
from memsvc_strands.messages import messages_of, turns_of

MAX_RESULTS = 10


class MemsvcStore(MemoryStore):
    """`MemoryManager(stores=[MemsvcStore(client, "sarah", "s1"), ...])`: beside other stores, or with other settings.

    A search finds memories; each invocation is stored as one run of the session, and learned from in the background
    (`extraction`), without a model call of the agent's. Where memory is down a search finds nothing, and what was said
    is given again with the next invocation. In `mode` "agentic" and "both" it brings the tools of memory.

    The client is called in threads, for Strands has an event loop for each call of an agent.
    """

    def __init__(
        self,
        client: MemoryClient,
        user_id: str | None,
        session_id: str,
        *,
        mode: str | None = None,
        agent_id: str = "",
        name: str = "memsvc",
        description: str | None = None,
        max_search_results: int | None = MAX_RESULTS,
    ) -> None:
        self.name = name
        self.description = description
        self.max_search_results = max_search_results
        self.writable = True
        self.extraction: ExtractionConfig | bool | None = {
            "trigger": InvocationTrigger(),
            "filter": MemoryMessageFilter(exclude=[]),
        }
        self._new_turn: Callable[[], Turn] = lambda: Turn(client, user_id, session_id, agent_id=agent_id, mode=mode)
        self._has_tools = mode in MODES_WITH_TOOLS
        self._store_id = uuid.uuid4()
        self.begin()

    def begin(self) -> None:
        """Begin a turn: what is known is asked for again."""
        self.turn = self._new_turn()
        self._known: str | None = None

    async def context(self, query: str, **options: Any) -> str:
        """Return what is known of the user, for a system prompt; asked for once a turn."""
        if self._known is None:
            self._known = await self.turn.acontext(query, **options)
        return self._known

    async def search(self, query: str, options: SearchOptions | None = None) -> list[MemoryEntry]:
        limit = (options or {}).get("max_search_results") or self.max_search_results or MAX_RESULTS
        return [
            MemoryEntry(
                hit.memory,
                metadata={"memory_id": hit.memory_id, "layer": str(hit.layer), "topics": list(hit.topics)},
            )
            for hit in await self.turn.asearch(query, limit=limit)
        ]

    async def add(self, content: str, metadata: dict[str, Any] | None = None) -> str:
        """Remember a text as it is, and return its memory_id. Raises MemoryServiceError."""
        given = {name: str(value) for name, value in (metadata or {}).items()}
        memory_id: str = await self.turn.awaited(self.turn.user.memories.add, content, metadata=given)
        return memory_id

    async def add_messages(self, messages: list[Message], context: AddMessagesContext | None = None) -> None:
        """Store what was said, a run a turn, each once. Raises MemoryServiceError where it is to be given again."""
        turn = self.turn
        numbers = context.sequence_numbers if context else None
        for first, said in turns_of(messages):
            given = messages_of(said)
            # What is given again has the number that it had; those of another agent begin at 0 as well.
            name = f"{numbers[first]} {json.dumps(given)}" if numbers else ""
            run_id = str(uuid.uuid5(self._store_id, name) if name else uuid.uuid4())
            if given and not await turn.aappend_once(given, run_id) and turn.failure is not None:
                raise turn.failure
        if turn is self.turn:
            self.begin()

    def get_tools(self) -> list[AgentTool]:
        return [self._tool(definition) for definition in self.turn.tools()] if self._has_tools else []

    def _tool(self, definition: ToolDefinition) -> AgentTool:
        name = definition["name"]

        async def call(tool_use: ToolUse, **invocation: Any) -> ToolResult:
            text = await self.turn.acall_tool(name, tool_use["input"], tool_use["toolUseId"])
            return {"toolUseId": tool_use["toolUseId"], "status": "success", "content": [{"text": text}]}

        schema = {"json": definition["parameters"]}
        spec: Any = {"name": name, "description": definition["description"], "inputSchema": schema}
        return PythonAgentTool(name, spec, call)
