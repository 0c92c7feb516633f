"""What a host may see of memory: the contract of the two faces."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from mcp import types

from memsvc.mcp.whose import Whose
from memsvc_client import AsyncUser

Arguments = Mapping[str, Any]


class NotThere(Exception):
    """There is no such tool, resource or prompt, or not for this user. Its words are for the host."""


class Unfit(Exception):
    """What was given cannot be used. Its words are for the host, and repeat nothing of it."""


class Face(Protocol):
    """Tools, resources and prompts over one user's memory. Any method may raise MemoryServiceError."""

    name: str
    title: str
    instructions: str

    async def tools(self, user: AsyncUser, whose: Whose) -> Sequence[types.Tool]:
        """List the tools that this user has."""

    async def call(self, user: AsyncUser, whose: Whose, name: str, arguments: Arguments) -> types.CallToolResult:
        """Carry out a call. Raises NotThere, Unfit."""

    def resources(self, whose: Whose) -> Sequence[types.Resource]:
        """List what can be read of this user."""

    def templates(self) -> Sequence[types.ResourceTemplate]:
        """List the forms of what can be read."""

    async def read(self, user: AsyncUser, whose: Whose, uri: str) -> types.TextResourceContents:
        """Read a resource. Raises NotThere."""

    def prompts(self, whose: Whose) -> Sequence[types.Prompt]:
        """List the prompts."""

    async def prompt(
        self, user: AsyncUser, whose: Whose, name: str, arguments: Mapping[str, str]
    ) -> types.GetPromptResult:
        """Return a prompt. Raises NotThere, Unfit."""


def answered(text: str, structured: Any = None, *, is_error: bool = False) -> types.CallToolResult:
    """Return the result of a call: a text for the model, and the same as data for programs."""
    return types.CallToolResult(
        content=[types.TextContent(type="text", text=text)], structured_content=structured, is_error=is_error
    )
