"""agno's own memory: its manager over SqliteDb or PostgresDb, and its agent."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from agno.agent import Agent
from agno.db.postgres import PostgresDb
from agno.db.schemas import UserMemory
from agno.db.sqlite import SqliteDb
from agno.models.openai import OpenAIChat
from agno.run.base import RunContext
from agno.session.agent import AgentSession

from bench.peers.peer import HITS, PAGE, Place

PACKAGES = ("agno", "sqlalchemy")
_BATCH = 500


@contextmanager
def opened(place: Place) -> Iterator[Agno]:
    url = place.postgres_url.replace("postgresql://", "postgresql+psycopg://")
    db = PostgresDb(db_url=url) if url else SqliteDb(db_file=str(place.folder / "agno.db"))
    try:
        yield Agno(db, place.model_url)
    finally:
        db.db_engine.dispose()


class Agno:
    durability = "synced to the disk"

    def __init__(self, db: SqliteDb | PostgresDb, model_url: str) -> None:
        def model() -> OpenAIChat:
            return OpenAIChat(id="scripted", base_url=model_url, api_key="none")

        self._db = db
        self._plain = Agent(model=model(), telemetry=False)
        self._agent = Agent(model=model(), telemetry=False, db=db, update_memory_on_run=True)
        self._agent.initialize_agent()

    def fill(self, user: str, texts: Sequence[str]) -> Sequence[str]:
        memories = [UserMemory(memory=text, memory_id=str(uuid.uuid4()), user_id=user) for text in texts]
        for start in range(0, len(memories), _BATCH):
            self._db.upsert_memories(memories[start : start + _BATCH])
        return [str(memory.memory_id) for memory in memories]

    def get(self, user: str, memory_id: str) -> str:
        return self._db.get_user_memory(memory_id, user_id=user).memory

    def list(self, user: str) -> Sequence[str]:
        return [memory.memory for memory in self._db.get_user_memories(user_id=user, limit=PAGE, page=1)]

    def search(self, user: str, query: str) -> Sequence[str]:
        """Return the newest: the manager has no other search that asks no model."""
        manager = self._agent.memory_manager
        found = manager.search_user_memories(query, limit=HITS, retrieval_method="last_n", user_id=user)
        return [memory.memory for memory in found]

    def context(self, user: str, query: str) -> str:
        session = AgentSession(session_id="context", user_id=user)
        run = RunContext(run_id="context", session_id="context", user_id=user)
        return str(self._agent.get_system_message(session=session, run_context=run).content)

    def add(self, user: str, text: str) -> str:
        return str(self._agent.memory_manager.add_user_memory(UserMemory(memory=text), user_id=user))

    def remove(self, user: str, memory_ids: Sequence[str]) -> None:
        self._db.delete_user_memories(list(memory_ids), user_id=user)

    def turn(self, user: str, said: str) -> None:
        self._agent.run(said, user_id=user, session_id=str(uuid.uuid4()))

    def turn_without(self, user: str, said: str) -> None:
        self._plain.run(said, user_id=user, session_id=str(uuid.uuid4()))

    def settle(self, user: str) -> None:
        """Its turns end with all that they do."""
