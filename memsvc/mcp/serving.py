"""A face as an MCP server: each request finds its user, and each failure its words."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any, TypeVar

from mcp import types
from mcp.server.lowlevel import Server
from mcp.shared.exceptions import MCPError

from memsvc import __version__
from memsvc.access.accounts import Accounts
from memsvc.errors import ResourceExhausted
from memsvc.mcp.faces import Face, NotThere, Unfit, answered
from memsvc.mcp.failures import limit_reached, sentence
from memsvc.mcp.whose import Context, Whose, WhoseOf
from memsvc_client import AsyncMemoryClient, AsyncUser, MemoryServiceError

T = TypeVar("T")

Connect = Callable[[str], AsyncMemoryClient]
"""Makes a client of a namespace; sends nothing."""
_Paged = types.PaginatedRequestParams | None


class Connections:
    """Clients of memsvc, one for each namespace that is asked for."""

    def __init__(self, connect: Connect, agent_id: str) -> None:
        """`agent_id`: what is written comes from this agent."""
        self._connect = connect
        self._agent_id = agent_id
        self._clients: dict[str, AsyncMemoryClient] = {}
        self._stack = AsyncExitStack()

    def user(self, whose: Whose) -> AsyncUser:
        """Return the memory of a user."""
        client = self._clients.get(whose.namespace)
        if client is None:
            client = self._clients[whose.namespace] = self._connect(whose.namespace)
            self._stack.push_async_callback(client.close)
        return client.user(whose.user_id, agent_id=self._agent_id)

    async def close(self) -> None:
        await self._stack.aclose()


def server(face: Face, whose_of: WhoseOf, connections: Connections) -> Server[Any]:
    """Return the MCP server of a face."""
    handlers = _Handlers(face, whose_of, connections)
    return Server(
        face.name,
        version=__version__,
        title=face.title,
        instructions=face.instructions,
        website_url="https://memsvc.dev",
        on_list_tools=handlers.list_tools,
        on_call_tool=handlers.call_tool,
        on_list_resources=handlers.list_resources,
        on_list_resource_templates=handlers.list_resource_templates,
        on_read_resource=handlers.read_resource,
        on_list_prompts=handlers.list_prompts,
        on_get_prompt=handlers.get_prompt,
        on_completion=handlers.complete,
    )


class _Handlers:
    """What the server answers."""

    def __init__(self, face: Face, whose_of: WhoseOf, connections: Connections) -> None:
        self._face = face
        self._whose_of = whose_of
        self._connections = connections
        self._accounts = Accounts()

    async def list_tools(self, context: Context, params: _Paged) -> types.ListToolsResult:
        whose, user = self._told_user(context)
        return types.ListToolsResult(tools=list(await _told(self._face.tools(user, whose))))

    async def call_tool(self, context: Context, params: types.CallToolRequestParams) -> types.CallToolResult:
        try:
            whose, user = self._user(context)
            return await self._face.call(user, whose, params.name, params.arguments or {})
        except NotThere as error:
            raise MCPError(types.INVALID_PARAMS, str(error)) from None
        except Unfit as error:
            return answered(str(error), is_error=True)
        except MemoryServiceError as failure:
            # The model is told, and can go on without it.
            return answered(sentence(failure), is_error=True)
        except ResourceExhausted as error:
            return answered(limit_reached(error), is_error=True)

    async def list_resources(self, context: Context, params: _Paged) -> types.ListResourcesResult:
        return types.ListResourcesResult(resources=list(self._face.resources(self._whose_of(context))))

    async def list_resource_templates(self, context: Context, params: _Paged) -> types.ListResourceTemplatesResult:
        return types.ListResourceTemplatesResult(resource_templates=list(self._face.templates()))

    async def read_resource(
        self, context: Context, params: types.ReadResourceRequestParams
    ) -> types.ReadResourceResult:
        whose, user = self._told_user(context)
        return types.ReadResourceResult(contents=[await _told(self._face.read(user, whose, str(params.uri)))])

    async def list_prompts(self, context: Context, params: _Paged) -> types.ListPromptsResult:
        return types.ListPromptsResult(prompts=list(self._face.prompts(self._whose_of(context))))

    async def get_prompt(self, context: Context, params: types.GetPromptRequestParams) -> types.GetPromptResult:
        whose, user = self._told_user(context)
        return await _told(self._face.prompt(user, whose, params.name, params.arguments or {}))

    async def complete(self, context: Context, params: types.CompleteRequestParams) -> types.CompleteResult:
        """Complete the user of a resource: there is one."""
        user_id, argument = self._whose_of(context).user_id, params.argument
        is_user = isinstance(params.ref, types.ResourceTemplateReference) and argument.name == "user"
        values = [user_id] if is_user and user_id.startswith(argument.value) else []
        return types.CompleteResult(completion=types.Completion(values=values, total=len(values), has_more=False))

    def _user(self, context: Context) -> tuple[Whose, AsyncUser]:
        """Return whose memory it is. Raises ResourceExhausted where the token's calls come too fast."""
        whose = self._whose_of(context)
        if whose.calls_per_second:
            self._accounts.of("caller", whose.caller).take_call(whose.calls_per_second)
        return whose, self._connections.user(whose)

    def _told_user(self, context: Context) -> tuple[Whose, AsyncUser]:
        try:
            return self._user(context)
        except ResourceExhausted as error:
            raise MCPError(types.INTERNAL_ERROR, limit_reached(error)) from None


async def _told(answer: Awaitable[T]) -> T:
    """Return the answer, or say as an error of the protocol why there is none."""
    try:
        return await answer
    except (NotThere, Unfit) as error:
        raise MCPError(types.INVALID_PARAMS, str(error)) from None
    except MemoryServiceError as failure:
        raise MCPError(types.INTERNAL_ERROR, sentence(failure)) from None
