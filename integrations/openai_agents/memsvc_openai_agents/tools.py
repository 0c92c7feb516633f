"""The tools of memory for an agent whose own model keeps it: `Agent(tools=memsvc_tools(client))`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from agents import FunctionTool
from agents.tool_context import ToolContext

from memsvc_client import AsyncMemoryClient, MemoryClient
from memsvc_client.tool_calls import ToolDefinition
from memsvc_openai_agents.instructions import session_of

NOBODY = "openai-agents"
"""What tools there are is the same for every user; asking does not make this one."""


def memsvc_tools(client: MemoryClient, *, mode: str = "agentic", agent_id: str = "") -> list[FunctionTool]:
    """Return the tools of memory that the configuration allows; the session of a run says whose memory it is.

    Its session is to have the same `mode`.
    """
    return _tools(client.user(NOBODY, agent_id=agent_id).tools("generic", settings={"mode": mode}))


async def amemsvc_tools(client: AsyncMemoryClient, *, mode: str = "agentic", agent_id: str = "") -> list[FunctionTool]:
    return _tools(await client.user(NOBODY, agent_id=agent_id).tools("generic", settings={"mode": mode}))


def _tools(definitions: Iterable[ToolDefinition]) -> list[FunctionTool]:
    return [_tool(definition) for definition in definitions]


def _tool(definition: ToolDefinition) -> FunctionTool:
    name = definition["name"]

    async def call(context: ToolContext[Any], arguments: str) -> str:
        return await session_of(context).turn.acall_tool(name, arguments, context.tool_call_id)

    return FunctionTool(
        name=name,
        description=definition["description"],
        params_json_schema=definition["parameters"],
        on_invoke_tool=call,
        strict_json_schema=False,
    )
