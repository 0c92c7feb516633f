"""agno's agentic memory: the agent's own model says what to remember, to change and to forget."""

import os

from agno.agent import Agent
from agno.models.openai import OpenAIChat

from memsvc_agno import MemsvcDb, MemsvcMemoryManager  # memsvc
from memsvc_client import MemoryClient  # memsvc

client = MemoryClient.local("tmp/agno_agentic_memory.db")  # memsvc
db = MemsvcDb(client)  # memsvc, instead of SqliteDb(db_file="tmp/agent.db")
db.clear_memories()

agent = Agent(
    model=OpenAIChat(id=os.environ.get("OPENAI_MODEL", "gpt-5-mini")),
    db=db,
    memory_manager=MemsvcMemoryManager(client),  # memsvc
    enable_agentic_memory=True,
)

user_id = "jane"
agent.print_response("Update my role: I'm a Staff Engineer now", user_id=user_id)
memories = agent.get_user_memories(user_id=user_id)
print("Memories:", [memory.memory for memory in memories])
assert any("Staff Engineer" in memory.memory for memory in memories)

agent.print_response("Forget my role.", user_id=user_id)
memories = agent.get_user_memories(user_id=user_id)
print("Memories:", [memory.memory for memory in memories])
assert not any("Staff Engineer" in memory.memory for memory in memories)
