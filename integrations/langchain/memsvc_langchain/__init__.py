"""memsvc for LangChain: `create_agent(..., middleware=[MemsvcMiddleware(client)])`.

agent.invoke({"messages": [("user", "I ski")]}, {"configurable": {"user_id": "sarah", "thread_id": "s1"}})
"""

from memsvc_langchain.middleware import MemsvcMiddleware

__all__ = ["MemsvcMiddleware"]
