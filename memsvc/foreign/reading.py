"""All kinds of files, by name."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from msgspec import Struct

from memsvc.errors import invalid
from memsvc.foreign import agno, chatgpt, graphiti, hindsight, langgraph, letta, lines, mem0
from memsvc.foreign.facts import Finds

KINDS: Final = ("agno", "mem0", "langgraph", "letta", "graphiti", "hindsight", "chatgpt", "lines")


class Source(Struct, frozen=True, kw_only=True):
    """A file of another system."""

    kind: str
    path: Path
    table: str = ""
    """agno and langgraph: the table, where it has a name of its own."""
    template: str = ""
    """langgraph: where the user is in a namespace."""

    def read(self) -> Finds:
        """Yield what is in the file. Raises Damaged where none of it can be read, OSError, InvalidArgument."""
        if self.table and self.kind not in ("agno", "langgraph"):
            raise invalid("table", "is for agno and langgraph")
        if self.template and self.kind != "langgraph":
            raise invalid("template", "is for langgraph")
        match self.kind:
            case "agno":
                return agno.read(self.path, self.table)
            case "mem0":
                return mem0.read(self.path)
            case "langgraph":
                return langgraph.read(self.path, self.template, self.table)
            case "letta":
                return letta.read(self.path)
            case "graphiti":
                return graphiti.read(self.path)
            case "hindsight":
                return hindsight.read(self.path)
            case "chatgpt":
                return chatgpt.read(self.path)
            case "lines":
                return lines.read(self.path)
            case _:
                raise invalid("from", f"must be one of {', '.join(KINDS)}")
