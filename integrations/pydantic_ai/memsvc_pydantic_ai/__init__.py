"""memsvc for Pydantic AI: `Agent(..., capabilities=[MemsvcMemory(client)])`.

agent.run_sync("I ski at Tahoe", deps=Deps(user_id="sarah"), conversation_id="s1")
"""

from memsvc_pydantic_ai.capability import MemsvcMemory

__all__ = ["MemsvcMemory"]
