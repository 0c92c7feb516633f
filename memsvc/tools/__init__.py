"""Use cases of an agent's own model: the tools that it may call."""

from memsvc.tools.answers import Answer
from memsvc.tools.catalog import Tool
from memsvc.tools.formats import ToolFormat, definition
from memsvc.tools.permissions import Permissions, permissions_in
from memsvc.tools.reading import MemoryTools
from memsvc.tools.tasks import Tasks
from memsvc.tools.tools import Call, Tools

__all__ = [
    "Answer",
    "Call",
    "MemoryTools",
    "Permissions",
    "Tasks",
    "Tool",
    "ToolFormat",
    "Tools",
    "definition",
    "permissions_in",
]
