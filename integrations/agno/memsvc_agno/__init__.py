"""memsvc for agno: `Agent(..., **memsvc_agno(client))`, or a memory manager and a database as agno knows them.

agent = Agent(model=..., **memsvc_agno(MemoryClient("unix:///run/memsvc/memsvc.sock")))
agent.run("I ski at Tahoe", user_id="sarah", session_id="s1")
"""

from memsvc_agno.db import MemsvcDb, MemsvcMemories
from memsvc_agno.hooks import memsvc_agno
from memsvc_agno.manager import MemsvcMemoryManager

__all__ = ["MemsvcDb", "MemsvcMemories", "MemsvcMemoryManager", "memsvc_agno"]
