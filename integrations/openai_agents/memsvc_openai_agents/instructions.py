"""Instructions that know the user: `Agent(instructions=memsvc_instructions("Be brief."))`."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from agents import Agent, RunContextWrapper

from memsvc_openai_agents.session import MemsvcSession

Instructions: TypeAlias = Callable[[RunContextWrapper[Any], Agent[Any]], Awaitable[str]]


def memsvc_instructions(instructions: str | Callable[..., Any] = "") -> Instructions:
    """Return the instructions of an agent, with what is known of its user behind its own."""

    async def with_memory(wrapper: RunContextWrapper[Any], agent: Agent[Any]) -> str:
        own = instructions(wrapper, agent) if callable(instructions) else instructions
        if inspect.isawaitable(own):
            own = await own
        known = await session_of(wrapper).context([item for item in wrapper.turn_input if isinstance(item, dict)])
        return "\n\n".join(each for each in (str(own or ""), known) if each)

    return with_memory


def session_of(wrapper: RunContextWrapper[Any]) -> MemsvcSession:
    """Return the session of a run: its context, or `memory` of it. Raises TypeError where that is none."""
    context = wrapper.context
    given = context.get("memory") if isinstance(context, dict) else getattr(context, "memory", context)
    if not isinstance(given, MemsvcSession):
        raise TypeError("give the run its session as context=session, or as `memory` of your own context")
    return given
