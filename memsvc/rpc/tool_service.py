"""ToolService: from requests to use cases and back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import nullcontext
from typing import Final

from memsvc.access.caller import Right, current_caller
from memsvc.application import Application
from memsvc.limits import check_id
from memsvc.model import ToolName
from memsvc.rpc.calling import Context
from memsvc.rpc.draining import Draining
from memsvc.rpc.extractions import proto_extraction
from memsvc.rpc.fields import MAX_WAIT_SECONDS, read_duration, read_enum, read_scope, read_shared_users
from memsvc.rpc.interceptors import remaining_seconds
from memsvc.rpc.memories import proto_commit
from memsvc.rpc.settings import read_request_settings
from memsvc.rpc.waiting import REPLY_SECONDS
from memsvc.tools import Call, Tool, ToolFormat, definition, permissions_in
from memsvc.v1 import tool_pb2 as pb

_FORMATS: Final[Mapping[int, ToolFormat]] = {
    pb.TOOL_FORMAT_GENERIC: ToolFormat.GENERIC,
    pb.TOOL_FORMAT_OPENAI: ToolFormat.OPENAI,
    pb.TOOL_FORMAT_ANTHROPIC: ToolFormat.ANTHROPIC,
    pb.TOOL_FORMAT_MCP: ToolFormat.MCP,
}
_WAIT_SECONDS: Final = 60.0


class ToolService:
    """Serves memsvc.v1.ToolService."""

    def __init__(self, application: Application, drain: Draining) -> None:
        self._tools = application.tools
        self._settings = application.settings_reader
        self._default_deadline = application.settings.default_deadline_seconds
        self._drain = drain

    async def list_tools(self, request: pb.ListToolsRequest, context: Context) -> pb.ListToolsResponse:
        scope, overrides = read_scope(request.scope), read_request_settings(request)
        check_id("agent_id", request.agent_id, required=False)
        shape = read_enum("format", request.format, _FORMATS, ToolFormat.GENERIC)
        settings = await self._settings.in_force(scope, request.agent_id, overrides)
        tools = self._tools.list(permissions_in(settings))
        if Right.WRITE not in current_caller().rights:
            # What would be refused is not offered.
            tools = [tool for tool in tools if tool.read_only]
        return pb.ListToolsResponse(tools=[_proto_tool(tool, shape) for tool in tools])

    async def call_tool(self, request: pb.CallToolRequest, context: Context) -> pb.CallToolResponse:
        scope, overrides = read_scope(request.scope), read_request_settings(request)
        check_id("name", request.name)
        for name in ("call_id", "agent_id", "team_id", "session_id", "run_id"):
            check_id(name, getattr(request, name), required=False)
        wait = _WAIT_SECONDS
        if request.HasField("wait"):
            wait = read_duration("wait", request.wait, MAX_WAIT_SECONDS)
        remaining = remaining_seconds(context, self._default_deadline) - REPLY_SECONDS
        call = Call(
            name=request.name,
            arguments_json=request.arguments_json,
            call_id=request.call_id,
            agent_id=request.agent_id,
            team_id=request.team_id,
            session_id=request.session_id,
            run_id=request.run_id,
            shared_user_ids=read_shared_users(scope, request.shared_user_ids),
            wait_seconds=max(0.0, min(wait, remaining)),
            overrides=overrides,
        )
        permissions = permissions_in(await self._settings.in_force(scope, request.agent_id, overrides))
        # A task may be waited for, and goes on by itself.
        waiting = self._drain.until_drained() if request.name == ToolName.UPDATE_USER_MEMORY else nullcontext()
        async with waiting:
            answer = await self._tools.call(scope, call, permissions)
        return pb.CallToolResponse(
            text=answer.text,
            is_error=answer.is_error,
            reason=answer.reason,
            commit=proto_commit(answer.commit, scope) if answer.commit is not None else None,
            extraction=proto_extraction(answer.extraction) if answer.extraction is not None else None,
            revision=answer.revision,
        )


def _proto_tool(tool: Tool, shape: ToolFormat) -> pb.Tool:
    return pb.Tool(
        name=tool.name,
        description=tool.description,
        parameters_json=json.dumps(tool.parameters, ensure_ascii=False),
        definition_json=json.dumps(definition(tool, shape), ensure_ascii=False),
        read_only=tool.read_only,
    )
