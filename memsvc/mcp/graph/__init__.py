"""The face of `@modelcontextprotocol/server-memory`: its tools and its graph, kept as memories of the user."""

from memsvc.mcp.graph.face import GraphFace

__all__ = ["GraphFace"]
