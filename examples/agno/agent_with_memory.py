"""agno's first program with memory: it learns after each run, and tells what it knows. Five lines are memsvc's."""

import os

from agno.agent import Agent
from agno.models.openai import OpenAIChat

from memsvc_agno import MemsvcDb, MemsvcMemoryManager  # memsvc
from memsvc_client import MemoryClient  # memsvc

client = MemoryClient.local("tmp/agno_agent_with_memory.db")  # memsvc
db = MemsvcDb(client)  # memsvc, instead of SqliteDb(db_file="tmp/agent.db")
db.clear_memories()

john_doe_id = "john_doe@example.com"

agent = Agent(
    model=OpenAIChat(id=os.environ.get("OPENAI_MODEL", "gpt-5-mini")),
    db=db,
    memory_manager=MemsvcMemoryManager(client),  # memsvc
    update_memory_on_run=True,
)

agent.print_response("My name is John Doe. I love hiking on weekends.", stream=True, user_id=john_doe_id)
agent.print_response("What are my hobbies?", stream=True, user_id=john_doe_id)

memories = agent.get_user_memories(user_id=john_doe_id)
print("Memories about John Doe:", [memory.memory for memory in memories])
assert any("hiking" in memory.memory for memory in memories)
assert any("John Doe" in memory.memory for memory in memories)

agent.print_response("I moved to Oslo.", stream=True, user_id=john_doe_id)
agent.print_response("I moved to Bergen.", stream=True, user_id=john_doe_id)

places = [memory.memory for memory in agent.get_user_memories(user_id=john_doe_id) if "lives" in memory.memory]
print("Where he lives:", places)
assert "Bergen" in str(places)
assert "Oslo" not in str(places)
