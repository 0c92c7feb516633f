"""agno's memory manager without an agent: add, find, replace and delete memories; learn from messages."""

from agno.db.schemas import UserMemory
from agno.models.message import Message

from memsvc_agno import MemsvcMemoryManager as MemoryManager  # memsvc
from memsvc_client import MemoryClient  # memsvc

memory = MemoryManager(MemoryClient.local("tmp/agno_standalone_memory.db"))  # memsvc, instead of db=PostgresDb(...)
john_doe_id, jane_doe_id = "john_doe@example.com", "jane_doe@example.com"
memory.clear_user_memories(jane_doe_id)

memory.add_user_memory(UserMemory(memory="The user's name is John Doe", topics=["name"]), user_id=john_doe_id)
jane_id = memory.add_user_memory(UserMemory(memory="Jane plays tennis", topics=["sport"]), user_id=jane_doe_id)
memory.add_user_memory(UserMemory(memory="Jane reads novels", topics=["hobby"]), user_id=jane_doe_id)
print([each.memory for each in memory.get_user_memories(user_id=jane_doe_id)])

newest = memory.search_user_memories(user_id=jane_doe_id, limit=1, retrieval_method="last_n")
assert [each.memory for each in newest] == ["Jane reads novels"]
fitting = memory.search_user_memories(user_id=jane_doe_id, limit=1, query="Which sport?")
assert [each.memory for each in fitting] == ["Jane plays tennis"]

memory.replace_user_memory(jane_id, UserMemory(memory="Jane plays golf"), user_id=jane_doe_id)
memory.delete_user_memory(newest[0].memory_id, user_id=jane_doe_id)
assert [each.memory for each in memory.get_user_memories(user_id=jane_doe_id)] == ["Jane plays golf"]

said = [Message(role="user", content="I moved to Oslo."), Message(role="assistant", content="Lovely!")]
memory.create_user_memories(messages=said, user_id=jane_doe_id)
known = [each.memory for each in memory.get_user_memories(user_id=jane_doe_id)]
print(known)
assert any("Oslo" in each for each in known)
assert "Jane plays golf" in known
