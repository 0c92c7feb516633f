"""memsvc for Strands Agents: `Agent(..., memory_manager=MemsvcMemory(client, "sarah", "s1"))`.

agent = Agent(model=..., memory_manager=MemsvcMemory(MemoryClient("unix:///run/memsvc/memsvc.sock"), "sarah", "s1"))
agent("I ski at Tahoe")
"""

from memsvc_strands.manager import MemsvcMemory
from memsvc_strands.store import MemsvcStore

__all__ = ["MemsvcMemory", "MemsvcStore"]
