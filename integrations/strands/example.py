"""A Strands agent that knows its user in the next conversation. Needs strands-agents[openai], and OPENAI_API_KEY."""

import os

from strands import Agent
from strands.models.openai import OpenAIModel

from memsvc_client import MemoryClient
from memsvc_strands import MemsvcMemory

client = MemoryClient.local("tmp/strands.db")


def agent_for(user_id: str, session_id: str) -> Agent:
    model = OpenAIModel(model_id=os.environ.get("OPENAI_MODEL", "gpt-5-mini"))
    memory = MemsvcMemory(client, user_id, session_id)
    return Agent(model=model, system_prompt="Be brief.", memory_manager=memory, callback_handler=None)


print(agent_for("sarah", "monday")("I love hiking on weekends."))
known = client.user("sarah").context(wait=True)  # it learns in the background
print(known)
assert "hiking" in known.text

answer = str(agent_for("sarah", "tuesday")("Which hiking do I love?"))
print(answer)
assert "hiking" in answer
