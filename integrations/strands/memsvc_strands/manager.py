"""A memory manager that shows what is known of the user, and learns after each invocation."""

from __future__ import annotations

from typing import Any

from strands import Agent
from strands.hooks import BeforeInvocationEvent
from strands.memory import MemoryManager
from strands.middleware import InvokeModelContext, InvokeModelStage

from memsvc_client import MemoryClient
from memsvc_strands.messages import asked
from memsvc_strands.store import MemsvcStore


class MemsvcMemory(MemoryManager):
    """Gives an agent the memory of the user that it talks with, and learns from what is said.

    What is known is behind the agent's own system prompt in each call of a model, and asked for once an invocation.
    `mode` overrules what is configured: in "agentic" and "both" the model gets the tools of memory. `context` are
    options of `user.context`: max_characters=2000. It belongs to one agent.
    """

    def __init__(
        self,
        client: MemoryClient,
        user_id: str | None,
        session_id: str,
        *,
        mode: str | None = None,
        agent_id: str = "",
        **context: Any,
    ) -> None:
        self.store = MemsvcStore(client, user_id, session_id, mode=mode, agent_id=agent_id)
        self._context = context
        super().__init__([self.store], search_tool_config=False, injection=False)

    async def init_agent(self, agent: Agent) -> None:
        await super().init_agent(agent)
        agent.add_hook(lambda event: self.store.begin(), BeforeInvocationEvent)
        agent.add_middleware(InvokeModelStage.Input, self._with_context)

    async def _with_context(self, context: InvokeModelContext) -> InvokeModelContext:
        known = await self.store.context(asked(context.messages), **self._context)
        if not known:
            return context
        own = context.system_prompt
        if isinstance(own, list):
            return context.replace(system_prompt=[*own, {"text": known}])
        return context.replace(system_prompt=f"{own}\n\n{known}" if own else known)
