"""mem0 on the store that it embeds: qdrant-client's local mode for vectors, and SQLite for its history."""

from __future__ import annotations

import hashlib
import os
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from bench.peers.peer import DIMENSIONS, HITS, PAGE, Place, embed
from bench.peers.scripted_agent import ScriptedAgent

if TYPE_CHECKING:
    from mem0 import Memory

PACKAGES = ("mem0ai", "qdrant-client")
_BATCH = 500


@contextmanager
def opened(place: Place) -> Iterator[Mem0]:
    # Read when it is imported.
    os.environ.update(MEM0_TELEMETRY="False", MEM0_DIR=str(place.folder))
    from mem0 import Memory
    from mem0.embeddings.base import EmbeddingBase

    class Embedding(EmbeddingBase):
        def embed(self, text: str, memory_action: str | None = None) -> list[float]:
            return embed(text)

    model = {"model": "scripted", "api_key": "none", "openai_base_url": place.model_url}
    store = {"path": str(place.folder / "qdrant"), "on_disk": True, "embedding_model_dims": DIMENSIONS}
    memory = Memory.from_config(
        {
            "llm": {"provider": "openai", "config": model},
            "embedder": {"provider": "openai", "config": model},
            "vector_store": {"provider": "qdrant", "config": store},
            "history_db_path": str(place.folder / "history.db"),
        }
    )
    memory.embedding_model = Embedding()
    try:
        yield Mem0(memory, place.model_url)
    finally:
        memory.vector_store.client.close()
        memory.close()


class Mem0:
    durability = "synced to the disk, twice: a row of the store, and one of the history"

    def __init__(self, memory: Memory, model_url: str) -> None:
        self._memory = memory
        self._agent = ScriptedAgent(model_url)

    def fill(self, user: str, texts: Sequence[str]) -> Sequence[str]:
        """Fill the store as `add` does, without the history: nothing that is measured reads that."""
        ids = [str(uuid.uuid4()) for _ in texts]
        payloads = [_payload(user, text) for text in texts]
        for start in range(0, len(ids), _BATCH):
            part = slice(start, start + _BATCH)
            self._memory.vector_store.insert([embed(text) for text in texts[part]], payloads[part], ids[part])
        return ids

    def get(self, user: str, memory_id: str) -> str:
        return self._memory.get(memory_id)["memory"]

    def list(self, user: str) -> Sequence[str]:
        return _texts(self._memory.get_all(filters={"user_id": user}, top_k=PAGE))

    def search(self, user: str, query: str) -> Sequence[str]:
        return _texts(self._memory.search(query, filters={"user_id": user}, top_k=HITS))

    def context(self, user: str, query: str) -> str:
        return "\n".join(self.search(user, query))

    def add(self, user: str, text: str) -> str:
        return self._memory.add(text, user_id=user, infer=False)["results"][0]["id"]

    def remove(self, user: str, memory_ids: Sequence[str]) -> None:
        for memory_id in memory_ids:
            self._memory.delete(memory_id)

    def turn(self, user: str, said: str) -> None:
        answer = self._agent.answer(said, self.context(user, said))
        messages = [{"role": "user", "content": said}, {"role": "assistant", "content": answer}]
        self._memory.add(messages, user_id=user)

    def turn_without(self, user: str, said: str) -> None:
        self._agent.answer(said)

    def settle(self, user: str) -> None:
        """It does nothing in the background."""


def _payload(user: str, text: str) -> dict[str, str]:
    now = datetime.now(UTC).isoformat()
    digest = hashlib.md5(text.encode()).hexdigest()
    return {
        "user_id": user,
        "role": "user",
        "data": text,
        "hash": digest,
        "created_at": now,
        "updated_at": now,
        "text_lemmatized": text,
    }


def _texts(found: Any) -> Sequence[str]:
    return [each["memory"] for each in found["results"]]
