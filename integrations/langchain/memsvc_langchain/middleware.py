"""Memory as middleware of a LangChain agent: context before the model, tools meanwhile, the run after it."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Any, NotRequired, TypedDict

from langchain.agents.middleware import AgentMiddleware, AgentState, ModelRequest, ModelResponse
from langchain.agents.middleware.types import PrivateStateAttr
from langchain.tools.tool_node import ToolCallRequest
from langchain_core.messages import AnyMessage, SystemMessage, ToolMessage
from langgraph.config import get_config
from langgraph.runtime import Runtime
from langgraph.types import Command

from memsvc_client import Unavailable
from memsvc_client.tool_calls import TOOLS, ToolDefinition
from memsvc_client.turn import MODES_WITH_TOOLS, AnyMemoryClient, Turn


class Remembered(TypedDict):
    """What the turn knows, in the state of the graph: it may be interrupted, and go on elsewhere."""

    text: str
    memory_ids: list[str]
    session_id: str
    first_message_id: str | None
    down: bool


class MemoryState(AgentState[Any]):
    memsvc: NotRequired[Annotated[Remembered, PrivateStateAttr]]


class MemsvcMiddleware(AgentMiddleware[MemoryState, Any, Any]):
    """Gives an agent its user's memory, and learns from what is said.

    The user is `user_id` of the runtime's context, or of the config's "configurable", the session its `thread_id`.
    `mode` overrules what is configured: in "agentic" and "both" the model gets the tools of memory. `context` are
    options of `user.context`: max_characters=2000. A MemoryClient serves `invoke` and `ainvoke` (in threads); an
    AsyncMemoryClient serves `ainvoke`.
    """

    state_schema = MemoryState

    def __init__(self, client: AnyMemoryClient, *, mode: str | None = None, agent_id: str = "", **context: Any) -> None:
        super().__init__()
        self.tools: Sequence[Any] = []
        self._client = client
        self._mode = mode
        self._agent_id = agent_id
        self._context = context

    def before_agent(self, state: MemoryState, runtime: Runtime[Any]) -> dict[str, Any]:
        turn = self._turn(runtime, state.get("memsvc"), begins=True)
        text = turn.context(_asked(state["messages"]), **self._context)
        return {"memsvc": _remembered(turn, text, state["messages"])}

    async def abefore_agent(self, state: MemoryState, runtime: Runtime[Any]) -> dict[str, Any]:
        turn = self._turn(runtime, state.get("memsvc"), begins=True)
        text = await turn.acontext(_asked(state["messages"]), **self._context)
        return {"memsvc": _remembered(turn, text, state["messages"])}

    def wrap_model_call(
        self, request: ModelRequest[Any], handler: Callable[[ModelRequest[Any]], ModelResponse[Any]]
    ) -> ModelResponse[Any]:
        kept = request.state.get("memsvc")
        tools = self._turn(request.runtime, kept).tools() if self._mode in MODES_WITH_TOOLS else []
        return handler(_with_memory(request, kept, tools))

    async def awrap_model_call(
        self, request: ModelRequest[Any], handler: Callable[[ModelRequest[Any]], Awaitable[ModelResponse[Any]]]
    ) -> ModelResponse[Any]:
        kept = request.state.get("memsvc")
        tools = await self._turn(request.runtime, kept).atools() if self._mode in MODES_WITH_TOOLS else []
        return await handler(_with_memory(request, kept, tools))

    def wrap_tool_call(
        self, request: ToolCallRequest, handler: Callable[[ToolCallRequest], ToolMessage | Command[Any]]
    ) -> ToolMessage | Command[Any]:
        if not self._is_ours(request):
            return handler(request)
        call = request.tool_call
        turn = self._turn(request.runtime, request.state.get("memsvc"))
        return _answer(call, turn.call_tool(call["name"], call["args"], call["id"] or ""))

    async def awrap_tool_call(
        self, request: ToolCallRequest, handler: Callable[[ToolCallRequest], Awaitable[ToolMessage | Command[Any]]]
    ) -> ToolMessage | Command[Any]:
        if not self._is_ours(request):
            return await handler(request)
        call = request.tool_call
        turn = self._turn(request.runtime, request.state.get("memsvc"))
        return _answer(call, await turn.acall_tool(call["name"], call["args"], call["id"] or ""))

    def after_agent(self, state: MemoryState, runtime: Runtime[Any]) -> None:
        kept = state.get("memsvc")
        self._turn(runtime, kept).append(_said(state["messages"], kept))

    async def aafter_agent(self, state: MemoryState, runtime: Runtime[Any]) -> None:
        kept = state.get("memsvc")
        await self._turn(runtime, kept).aappend(_said(state["messages"], kept))

    def _is_ours(self, request: ToolCallRequest) -> bool:
        return self._mode in MODES_WITH_TOOLS and request.tool is None and request.tool_call["name"] in TOOLS

    def _turn(self, runtime: Any, kept: Remembered | None, *, begins: bool = False) -> Turn:
        """Return the turn as this step sees it: what was found out before is in the state."""
        configurable = get_config().get("configurable", {})
        user_id = _field(getattr(runtime, "context", None), "user_id") or configurable.get("user_id")
        session_id = configurable.get("thread_id") or (kept["session_id"] if kept and not begins else None)
        turn = Turn(
            self._client,
            user_id,
            str(session_id or uuid.uuid4()),
            agent_id=self._agent_id,
            mode=self._mode,
        )
        if kept and not begins:
            turn.shown_memory_ids = tuple(kept["memory_ids"])
            # It is logged once a turn.
            turn.failure = Unavailable("memory did not answer before") if kept["down"] else None
        return turn


def _field(given: Any, name: str) -> Any:
    return given.get(name) if isinstance(given, dict) else getattr(given, name, None)


def _beginning(messages: Sequence[AnyMessage]) -> int:
    """Return where this turn begins: with what was said since the model's last answer."""
    answers = [index for index, each in enumerate(messages) if each.type not in ("human", "system")]
    return answers[-1] + 1 if answers else 0


def _asked(messages: Sequence[AnyMessage]) -> str:
    return "\n".join(each.text for each in messages[_beginning(messages) :] if each.type == "human")


def _remembered(turn: Turn, text: str, messages: Sequence[AnyMessage]) -> Remembered:
    said = messages[_beginning(messages) :]
    return {
        "text": text,
        "memory_ids": list(turn.shown_memory_ids),
        "session_id": turn.session_id,
        "first_message_id": said[0].id if said else None,
        "down": turn.failure is not None,
    }


def _said(messages: Sequence[AnyMessage], kept: Remembered | None) -> list[AnyMessage]:
    """Return the messages of this turn, also where those before it were summed up meanwhile."""
    first = kept["first_message_id"] if kept else None
    places = [index for index, each in enumerate(messages) if each.id is not None and each.id == first]
    humans = [index for index, each in enumerate(messages) if each.type == "human"]
    return list(messages[(places or humans[-1:] or [0])[0] :])


def _with_memory(
    request: ModelRequest[Any], kept: Remembered | None, tools: Sequence[ToolDefinition]
) -> ModelRequest[Any]:
    """Return a request with what is known behind the agent's own prompt, which a provider's cache holds."""
    own = {_field(tool, "name") for tool in request.tools}
    ours = [{"type": "function", "function": tool} for tool in tools if tool["name"] not in own]
    text = kept["text"] if kept else ""
    if not text:
        return request.override(tools=[*request.tools, *ours])
    system = request.system_message
    if system is None:
        message = SystemMessage(text)
    elif isinstance(system.content, str):
        message = SystemMessage(f"{system.content}\n\n{text}")
    else:
        message = SystemMessage([*system.content, {"type": "text", "text": text}])
    return request.override(system_message=message, tools=[*request.tools, *ours])


def _answer(call: Any, text: str) -> ToolMessage:
    return ToolMessage(text, name=call["name"], tool_call_id=call["id"])
