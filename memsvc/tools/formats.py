"""Tools in the forms in which providers of models take them."""

from __future__ import annotations

import enum

from memsvc.tools.catalog import JSONObject, Tool


class ToolFormat(enum.Enum):
    """Whose form a definition has."""

    GENERIC = "generic"
    OPENAI = "openai"
    ANTHROPIC = "anthropic"
    MCP = "mcp"


def definition(tool: Tool, shape: ToolFormat) -> JSONObject:
    """Return a tool as it is handed to the model's provider."""
    named = {"name": tool.name.value, "description": tool.description}
    match shape:
        case ToolFormat.GENERIC:
            return {**named, "parameters": tool.parameters}
        case ToolFormat.OPENAI:
            return {"type": "function", "function": {**named, "parameters": tool.parameters}}
        case ToolFormat.ANTHROPIC:
            return {**named, "input_schema": tool.parameters}
        case ToolFormat.MCP:
            hints = {
                "readOnlyHint": tool.read_only,
                "destructiveHint": tool.destructive,
                "idempotentHint": tool.idempotent,
                "openWorldHint": False,
            }
            return {**named, "inputSchema": tool.parameters, "annotations": hints}
