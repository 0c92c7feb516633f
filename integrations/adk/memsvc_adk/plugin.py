"""Memory as a plugin of a runner: instructions before the model, tools meanwhile, what was said after the run."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from google.adk.agents.callback_context import CallbackContext
from google.adk.agents.invocation_context import InvocationContext
from google.adk.models.llm_request import LlmRequest
from google.adk.plugins import BasePlugin
from google.adk.tools.base_tool import BaseTool
from google.adk.tools.tool_context import ToolContext
from google.genai import types

from memsvc_adk.messages import text_of
from memsvc_adk.runs import StoredRuns
from memsvc_adk.service import UserOf, same_user
from memsvc_client.tool_calls import ToolDefinition
from memsvc_client.turn import MODES_WITH_TOOLS, AnyMemoryClient, Turn

MAX_TURNS = 10_000
"""Runs that broke off leave their turn behind."""


@dataclass
class _Invocation:
    turn: Turn
    known: str | None = None
    """What is known of the user; None: not asked yet."""


class MemsvcPlugin(BasePlugin):
    """`Runner(..., plugins=[MemsvcPlugin(client)])` gives agents their users' memory, and learns from what is said.

    What is known is behind the instructions of each agent of the runner, and asked for once an invocation. `mode`
    overrules what is configured: in "agentic" and "both" the models get the tools of memory. `user` says whose memory
    it is, by the app's name and ADK's user. `context` are options of `user.context`: max_characters=2000. A
    MemoryClient is called in threads, an AsyncMemoryClient not.
    """

    def __init__(
        self,
        client: AnyMemoryClient,
        *,
        user: UserOf = same_user,
        mode: str | None = None,
        agent_id: str = "",
        name: str = "memsvc",
        **context: Any,
    ) -> None:
        super().__init__(name=name)
        self._client = client
        self._user = user
        self._mode = mode
        self._agent_id = agent_id
        self._context = context
        self._runs = StoredRuns()
        self._invocations: OrderedDict[str, _Invocation] = OrderedDict()

    async def before_model_callback(self, *, callback_context: CallbackContext, llm_request: LlmRequest) -> None:
        invocation = self._invocation(callback_context)
        turn = invocation.turn
        if invocation.known is None:
            invocation.known = await turn.acontext(text_of(callback_context.user_content), **self._context)
        if invocation.known:
            llm_request.append_instructions([invocation.known])
        if self._mode in MODES_WITH_TOOLS:
            offered = await turn.atools()
            own = llm_request.tools_dict
            llm_request.append_tools([_MemoryTool(each, turn) for each in offered if each["name"] not in own])

    async def after_run_callback(self, *, invocation_context: InvocationContext) -> None:
        invocation = self._invocation(invocation_context)
        del self._invocations[invocation_context.invocation_id]
        events = invocation_context.session.events
        its = [event for event in events if event.invocation_id == invocation_context.invocation_id]
        await self._runs.store(invocation.turn, its)

    def _invocation(self, context: CallbackContext | InvocationContext) -> _Invocation:
        if context.invocation_id not in self._invocations:
            session = context.session
            user = self._user(session.app_name, session.user_id)
            turn = Turn(self._client, user, session.id, agent_id=self._agent_id, mode=self._mode)
            self._invocations[context.invocation_id] = _Invocation(turn)
            while len(self._invocations) > MAX_TURNS:
                self._invocations.popitem(last=False)
        return self._invocations[context.invocation_id]


class _MemoryTool(BaseTool):
    """A tool of memory as ADK has them."""

    def __init__(self, definition: ToolDefinition, turn: Turn) -> None:
        super().__init__(name=definition["name"], description=definition["description"])
        self._parameters = definition["parameters"]
        self._turn = turn

    def _get_declaration(self) -> types.FunctionDeclaration:
        return types.FunctionDeclaration(
            name=self.name, description=self.description, parameters_json_schema=self._parameters
        )

    async def run_async(self, *, args: dict[str, Any], tool_context: ToolContext) -> str:
        return await self._turn.acall_tool(self.name, args, tool_context.function_call_id or "")
