"""LangGraph's stores with an index of vectors: SqliteStore (sqlite-vec) and PostgresStore (pgvector, HNSW).

A store has no agent: its turn is what its documentation shows, a search for the prompt and a put of what was said.
"""

from __future__ import annotations

import sqlite3
import sys
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

if not hasattr(sqlite3.Connection, "enable_load_extension"):
    import pysqlite3

    # Not every Python is built with what loads sqlite-vec. This has to come before the store is imported.
    sys.modules["sqlite3"] = pysqlite3

from langgraph.store.base import PutOp
from langgraph.store.postgres import PostgresStore
from langgraph.store.sqlite import SqliteStore

from bench.peers.peer import DIMENSIONS, HITS, PAGE, Place, embed
from bench.peers.scripted_agent import ScriptedAgent

PACKAGES = ("langgraph-checkpoint-sqlite", "langgraph-checkpoint-postgres", "sqlite-vec")
_BATCH = 500
_CONNECTIONS = 16


@contextmanager
def opened(place: Place) -> Iterator[LangGraph]:
    index = {"dims": DIMENSIONS, "embed": _embed, "fields": ["text"]}
    if place.postgres_url:
        pool = {"min_size": 1, "max_size": _CONNECTIONS}
        opening = PostgresStore.from_conn_string(place.postgres_url, pool_config=pool, index=index)
    else:
        opening = SqliteStore.from_conn_string(str(place.folder / "langgraph.db"), index=index)
    with opening as store:
        store.setup()
        yield LangGraph(store, place.model_url)


class LangGraph:
    durability = "synced to the disk"

    def __init__(self, store: SqliteStore | PostgresStore, model_url: str) -> None:
        self._store = store
        self._agent = ScriptedAgent(model_url)

    def fill(self, user: str, texts: Sequence[str]) -> Sequence[str]:
        puts = [PutOp(_namespace(user), str(uuid.uuid4()), {"text": text}) for text in texts]
        for start in range(0, len(puts), _BATCH):
            self._store.batch(puts[start : start + _BATCH])
        return [put.key for put in puts]

    def get(self, user: str, memory_id: str) -> str:
        return self._store.get(_namespace(user), memory_id).value["text"]

    def list(self, user: str) -> Sequence[str]:
        return [item.value["text"] for item in self._store.search(_namespace(user), limit=PAGE)]

    def search(self, user: str, query: str) -> Sequence[str]:
        return [item.value["text"] for item in self._store.search(_namespace(user), query=query, limit=HITS)]

    def context(self, user: str, query: str) -> str:
        return "\n".join(self.search(user, query))

    def add(self, user: str, text: str) -> str:
        key = str(uuid.uuid4())
        self._store.put(_namespace(user), key, {"text": text})
        return key

    def remove(self, user: str, memory_ids: Sequence[str]) -> None:
        for memory_id in memory_ids:
            self._store.delete(_namespace(user), memory_id)

    def turn(self, user: str, said: str) -> None:
        self._agent.answer(said, self.context(user, said))
        self.add(user, said)

    def turn_without(self, user: str, said: str) -> None:
        self._agent.answer(said)

    def settle(self, user: str) -> None:
        """It does nothing in the background."""


def _namespace(user: str) -> tuple[str, ...]:
    return ("memories", user)


def _embed(texts: Sequence[str]) -> list[list[float]]:
    return [embed(text) for text in texts]
