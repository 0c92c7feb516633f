"""The face of memsvc: the tools of ToolService, a user's context, memories and document, and prompts."""

from memsvc.mcp.memory.face import MemoryFace

__all__ = ["MemoryFace"]
