"""memsvc for LangGraph: a store of items that outlive process and thread, in the same database as users' memories.

graph = builder.compile(store=MemsvcStore(MemoryClient("unix:///run/memsvc/memsvc.sock", namespace="store")))
"""

from memsvc_langgraph.store import MemsvcStore

__all__ = ["MemsvcStore"]
