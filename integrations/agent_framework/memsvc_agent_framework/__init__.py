"""memsvc for Microsoft's Agent Framework: `Agent(..., context_providers=[MemsvcProvider(client)])`.

session = agent.create_session(session_id="s1")
session.state["user_id"] = "sarah"
await agent.run("I ski at Tahoe", session=session)
"""

from memsvc_agent_framework.provider import MemsvcProvider

__all__ = ["MemsvcProvider"]
