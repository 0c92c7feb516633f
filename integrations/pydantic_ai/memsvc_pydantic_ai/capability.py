"""Memory as one capability of an agent: instructions, tools, and what happens after a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic_ai import AgentRunResult, FunctionToolset, RunContext, Tool
from pydantic_ai.capabilities import AbstractCapability

from memsvc_client.turn import MODES_WITH_TOOLS, AnyMemoryClient, Turn
from memsvc_pydantic_ai.messages import messages_of, text_of

UserOf = Callable[[RunContext[Any]], str | None]


def user_of_deps(ctx: RunContext[Any]) -> str | None:
    """Return the user that the dependencies of a run name: deps.user_id, or deps["user_id"]."""
    deps = ctx.deps
    given = deps.get("user_id") if isinstance(deps, Mapping) else getattr(deps, "user_id", None)
    return None if given is None else str(given)


@dataclass(init=False)
class MemsvcMemory(AbstractCapability[Any]):
    """Gives an agent its user's memory, and learns from what is said.

    `user` says whose memory a run is about: deps.user_id, unless it is given. The session is the run's conversation.
    `mode` overrules what is configured: in "agentic" and "both" the model gets the tools of memory. `context` are
    options of `user.context`: max_characters=2000. A MemoryClient is called in threads, an AsyncMemoryClient not.
    """

    def __init__(
        self,
        client: AnyMemoryClient,
        *,
        user: UserOf = user_of_deps,
        mode: str | None = None,
        agent_id: str = "",
        **context: Any,
    ) -> None:
        self._client = client
        self._user = user
        self._mode = mode
        self._agent_id = agent_id
        self._context = context

    async def for_run(self, ctx: RunContext[Any]) -> AbstractCapability[Any]:
        turn = Turn(
            self._client,
            self._user(ctx),
            ctx.conversation_id or ctx.run_id or "",
            agent_id=self._agent_id,
            mode=self._mode,
        )
        return _OfOneRun(turn, has_tools=self._mode in MODES_WITH_TOOLS, context=self._context)


@dataclass(init=False)
class _OfOneRun(AbstractCapability[Any]):
    """The capability as one run has it: its context is asked for once."""

    def __init__(self, turn: Turn, *, has_tools: bool, context: Mapping[str, Any]) -> None:
        self._turn = turn
        self._has_tools = has_tools
        self._context = context
        self._text: str | None = None

    def get_instructions(self) -> Any:
        return self._instructions

    def get_toolset(self) -> Any:
        return self._toolset if self._has_tools else None

    async def after_run(self, ctx: RunContext[Any], *, result: AgentRunResult[Any]) -> AgentRunResult[Any]:
        if messages := messages_of(result.new_messages()):
            await self._turn.aappend(messages, run_id=ctx.run_id or "")
        return result

    async def _instructions(self, ctx: RunContext[Any]) -> str:
        if self._text is None:
            self._text = await self._turn.acontext(text_of(ctx.prompt), **self._context)
        return self._text

    async def _toolset(self, ctx: RunContext[Any]) -> FunctionToolset[Any]:
        toolset: FunctionToolset[Any] = FunctionToolset()
        for definition in await self._turn.atools():
            toolset.add_tool(self._tool(definition))
        return toolset

    def _tool(self, definition: Mapping[str, Any]) -> Tool[Any]:
        name = definition["name"]

        async def call(ctx: RunContext[Any], **arguments: Any) -> str:
            return await self._turn.acall_tool(name, arguments, ctx.tool_call_id or "")

        return Tool.from_schema(call, name, definition["description"], definition["parameters"], takes_ctx=True)
