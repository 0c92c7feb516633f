"""What an Agent or a Team is given: a hook before the run, instructions, tools, a hook after the run."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any

from agno.run.base import RunContext
from agno.tools.function import Function

from memsvc_agno.messages import messages_of
from memsvc_client import AsyncMemoryClient
from memsvc_client.turn import MODES_WITH_TOOLS, AnyMemoryClient, Turn

MAX_TURNS = 10_000
"""Runs that broke off leave their turn behind."""
_PLACEHOLDER = re.compile(r"\{(?=\w+\})|\$(?=[A-Za-z_{])")


def memsvc_agno(
    client: AnyMemoryClient,
    *,
    mode: str | None = None,
    agent_id: str = "",
    instructions: str | Sequence[str] | Callable[..., Any] | None = None,
    tools: Iterable[Any] = (),
    pre_hooks: Iterable[Callable[..., Any]] = (),
    post_hooks: Iterable[Callable[..., Any]] = (),
    **context: Any,
) -> dict[str, Any]:
    """Return the arguments that give an agno Agent or Team its users' memory.

    `mode` overrules what is configured: in "agentic" and "both" the model gets the tools of memory. What the agent has
    of its own (`instructions`, `tools`, hooks) is given here, and comes before; `context` are options of
    `user.context`: max_characters=2000. A MemoryClient serves `run` and `arun`; an AsyncMemoryClient serves `arun`,
    without holding up its event loop.
    """
    hooks = _Hooks(client, mode, agent_id, instructions, tools, context)
    ours: dict[str, Any] = {
        "pre_hooks": [*pre_hooks, hooks.begin],
        "instructions": hooks.ainstructions if hooks.is_async else hooks.instructions,
        "post_hooks": [*post_hooks, hooks.aend if hooks.is_async else hooks.end],
    }
    if mode in MODES_WITH_TOOLS:
        ours |= {"tools": hooks.atools if hooks.is_async else hooks.tools, "cache_callables": False}
    elif tools:
        ours["tools"] = hooks.own_tools
    return ours


class _Hooks:
    """The functions, and the turns that are under way."""

    def __init__(
        self,
        client: AnyMemoryClient,
        mode: str | None,
        agent_id: str,
        instructions: str | Sequence[str] | Callable[..., Any] | None,
        tools: Iterable[Any],
        context: dict[str, Any],
    ) -> None:
        self.is_async = isinstance(client, AsyncMemoryClient)
        self.own_tools = list(tools)
        self._client = client
        self._mode = mode
        self._agent_id = agent_id
        self._own_instructions = instructions
        self._context = context
        self._turns: OrderedDict[str, tuple[Turn, str]] = OrderedDict()

    def begin(self, run_input: Any, run_context: RunContext) -> None:
        """Keep what the user said: the instructions are not told."""
        self._turns[run_context.run_id] = self._new_turn(run_context), run_input.input_content_string()
        while len(self._turns) > MAX_TURNS:
            self._turns.popitem(last=False)

    def instructions(self, run_context: RunContext) -> list[str]:
        turn, query = self._turn(run_context)
        own = self._own_instructions
        given = own(run_context) if callable(own) else own
        return _instructed(given, turn.context(query, **self._context))

    async def ainstructions(self, run_context: RunContext) -> list[str]:
        turn, query = self._turn(run_context)
        own = self._own_instructions
        given = own(run_context) if callable(own) else own
        if isinstance(given, Awaitable):
            given = await given
        return _instructed(given, await turn.acontext(query, **self._context))

    def tools(self, run_context: RunContext) -> list[Any]:
        turn, _ = self._turn(run_context)
        return [*self.own_tools, *(_function(each, turn, is_async=False) for each in turn.tools())]

    async def atools(self, run_context: RunContext) -> list[Any]:
        turn, _ = self._turn(run_context)
        return [*self.own_tools, *(_function(each, turn, is_async=True) for each in await turn.atools())]

    def end(self, run_output: Any, run_context: RunContext) -> None:
        turn, _ = self._turn(run_context)
        self._turns.pop(run_context.run_id, None)
        if messages := messages_of(run_output.messages or ()):
            turn.append(messages, run_id=run_context.run_id)

    async def aend(self, run_output: Any, run_context: RunContext) -> None:
        turn, _ = self._turn(run_context)
        self._turns.pop(run_context.run_id, None)
        if messages := messages_of(run_output.messages or ()):
            await turn.aappend(messages, run_id=run_context.run_id)

    def _turn(self, run_context: RunContext) -> tuple[Turn, str]:
        """Return the turn of a run; one that is continued, or whose hooks run in the background, has no query."""
        if run_context.run_id not in self._turns:
            self._turns[run_context.run_id] = self._new_turn(run_context), ""
        return self._turns[run_context.run_id]

    def _new_turn(self, run_context: RunContext) -> Turn:
        return Turn(
            self._client,
            run_context.user_id,
            run_context.session_id,
            agent_id=self._agent_id,
            mode=self._mode,
        )


def _instructed(given: str | Sequence[str] | None, context: str) -> list[str]:
    own = [given] if isinstance(given, str) else list(given or ())
    return [*own, without_placeholders(context)] if context else own


def without_placeholders(context: str) -> str:
    """Escape what agno would take for a variable of the session ({name}, $name): a memory is data, and reads none."""
    return _PLACEHOLDER.sub(lambda found: f"&#{ord(found.group())};", context)


def _function(definition: dict[str, Any], turn: Turn, *, is_async: bool) -> Function:
    """Return a tool of memory as agno has them."""
    name = definition["name"]

    def call(**arguments: Any) -> str:
        return turn.call_tool(name, arguments)

    async def acall(**arguments: Any) -> str:
        return await turn.acall_tool(name, arguments)

    return Function(
        name=name,
        description=definition["description"],
        parameters=definition["parameters"],
        entrypoint=acall if is_async else call,
        skip_entrypoint_processing=True,
    )
