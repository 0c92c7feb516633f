"""A LangChain agent that knows its user in the next conversation. Needs langchain-openai, and OPENAI_API_KEY."""

import os

from langchain.agents import create_agent
from langchain_openai import ChatOpenAI

from memsvc_client import MemoryClient
from memsvc_langchain import MemsvcMiddleware

client = MemoryClient.local("tmp/langchain.db")
model = ChatOpenAI(model=os.environ.get("OPENAI_MODEL", "gpt-5-mini"))
agent = create_agent(model, system_prompt="Be brief.", middleware=[MemsvcMiddleware(client, max_characters=2000)])


def say(line: str, thread_id: str) -> str:
    config = {"configurable": {"user_id": "sarah", "thread_id": thread_id}}
    answer = agent.invoke({"messages": [("user", line)]}, config)["messages"][-1].text
    print(f"Sarah: {line}\nAgent: {answer}")
    return answer


say("I love hiking on weekends.", "monday")
known = client.user("sarah").context(wait=True)  # it learns in the background
print(known)
assert "hiking" in known.text

answer = say("Which hiking do I love?", "tuesday")
assert "hiking" in answer
assert len(client.user("sarah").runs("monday")) == 1
