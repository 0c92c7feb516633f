"""A LangChain agent whose own model keeps memory, by tools: it saves, and it forgets when it is asked to."""

import os

from langchain.agents import create_agent
from langchain_openai import ChatOpenAI

from memsvc_client import MemoryClient
from memsvc_langchain import MemsvcMiddleware

client = MemoryClient.local("tmp/langchain_agentic.db")
model = ChatOpenAI(model=os.environ.get("OPENAI_MODEL", "gpt-5-mini"))
agent = create_agent(model, middleware=[MemsvcMiddleware(client, mode="agentic")])


def say(line: str) -> list[str]:
    agent.invoke({"messages": [("user", line)]}, {"configurable": {"user_id": "sarah", "thread_id": "s1"}})
    kept = [memory.memory for memory in client.user("sarah").memories.list()]
    print(f"Sarah: {line}\nKept: {kept}")
    return kept


assert any("Staff Engineer" in memory for memory in say("Update my role: I'm a Staff Engineer now"))
assert not any("Staff Engineer" in memory for memory in say("Forget my role."))
