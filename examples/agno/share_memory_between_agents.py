"""Two agents of agno, one memory: what the first is told, the second knows."""

import os

from agno.agent import Agent
from agno.models.openai import OpenAIChat

from memsvc_agno import memsvc_agno  # memsvc
from memsvc_client import MemoryClient  # memsvc

client = MemoryClient.local("tmp/agno_share_memory.db")  # memsvc
john_doe_id = "john_doe@example.com"

model = OpenAIChat(id=os.environ.get("OPENAI_MODEL", "gpt-5-mini"))
memory = memsvc_agno(client)  # memsvc, instead of db=db, update_memory_on_run=True
chat_agent = Agent(model=model, description="You are a helpful assistant that can chat with users", **memory)
research_agent = Agent(model=model, description="You research what users ask for", **memory)

chat_agent.print_response("My name is John Doe. I love hiking.", stream=True, user_id=john_doe_id)

known = client.user(john_doe_id).context(wait=True)  # memsvc learns in the background
print(known)
assert "hiking" in known.text

answer = research_agent.run("Which hiking do I love?", user_id=john_doe_id)
print(answer.content)
assert "hiking" in answer.content
