"""Memory as a context provider: instructions and tools before a run, what was said after it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from agent_framework import AgentSession, ContextProvider, FunctionTool, SessionContext, SupportsAgentRun

from memsvc_agent_framework.messages import messages_of, text_of
from memsvc_client.tool_calls import ToolDefinition
from memsvc_client.turn import MODES_WITH_TOOLS, AnyMemoryClient, Turn

UserOf = Callable[[AgentSession], str | None]


def user_of_state(session: AgentSession) -> str | None:
    """Return the user that a session's state names: session.state["user_id"]."""
    given = session.state.get("user_id")
    return None if given is None else str(given)


class MemsvcProvider(ContextProvider):
    """Gives an agent its user's memory, and learns from what is said.

    `user` says whose memory a session is about: session.state["user_id"], unless it is given. `mode` overrules what is
    configured: in "agentic" and "both" the model gets the tools of memory. `context` are options of `user.context`:
    max_characters=2000. A MemoryClient is called in threads, an AsyncMemoryClient not.
    """

    def __init__(
        self,
        client: AnyMemoryClient,
        *,
        user: UserOf = user_of_state,
        mode: str | None = None,
        agent_id: str = "",
        source_id: str = "memsvc",
        **context: Any,
    ) -> None:
        super().__init__(source_id)
        self._client = client
        self._user = user
        self._mode = mode
        self._agent_id = agent_id
        self._context = context

    async def before_run(
        self, *, agent: SupportsAgentRun, session: AgentSession, context: SessionContext, state: dict[str, Any]
    ) -> None:
        turn = Turn(self._client, self._user(session), session.session_id, agent_id=self._agent_id, mode=self._mode)
        context.metadata[self.source_id] = turn
        asked = "\n".join(text_of(message) for message in context.input_messages if message.role == "user")
        if known := await turn.acontext(asked, **self._context):
            context.extend_instructions(self.source_id, known)
        if self._mode in MODES_WITH_TOOLS:
            context.extend_tools(self.source_id, [_tool(definition, turn) for definition in await turn.atools()])

    async def after_run(
        self, *, agent: SupportsAgentRun, session: AgentSession, context: SessionContext, state: dict[str, Any]
    ) -> None:
        turn: Turn | None = context.metadata.get(self.source_id)
        said = [*context.input_messages, *(context.response.messages if context.response else ())]
        if turn is not None and (messages := messages_of(said)):
            await turn.aappend(messages)


def _tool(definition: ToolDefinition, turn: Turn) -> FunctionTool:
    name = definition["name"]

    async def call(**arguments: Any) -> str:
        return await turn.acall_tool(name, json.dumps(arguments))

    return FunctionTool(
        name=name, description=definition["description"], input_model=definition["parameters"], func=call
    )
