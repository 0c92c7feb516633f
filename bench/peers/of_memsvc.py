"""memsvc, by its blocking Python client, over a unix socket or TCP."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice

import grpc

from bench.peers.peer import HITS, PAGE, Place
from bench.peers.scripted_agent import ScriptedAgent
from memsvc_client import MemoryClient
from memsvc_client.turn import Turn
from memsvc_client.writing import create, delete

PACKAGES = ("memsvc", "grpcio")
_BATCH = 1_000
_ECHO_BYTES = 300
"""About what a memory takes."""
_CALL_SECONDS = 60.0
_SETTLE_SECONDS = 60.0


@contextmanager
def opened(place: Place) -> Iterator[Memsvc]:
    # What is slow is measured, and no error.
    deadlines = {"timeout_seconds": _CALL_SECONDS, "context_timeout_seconds": _CALL_SECONDS}
    with MemoryClient(place.target, **deadlines) as client, grpc.insecure_channel(place.echo_target) as channel:
        yield Memsvc(place, client, channel)


class Memsvc:
    durability = "synced to the disk"

    def __init__(self, place: Place, client: MemoryClient, echo: grpc.Channel) -> None:
        self._client = client
        self._agent = ScriptedAgent(place.model_url)
        self._echo = echo.unary_unary(f"/bench.Echo/{_ECHO_BYTES}", None, None)

    def fill(self, user: str, texts: Sequence[str]) -> Sequence[str]:
        memories = self._client.user(user).memories
        ids = [str(uuid.uuid4()) for _ in texts]
        for start in range(0, len(texts), _BATCH):
            pairs = zip(ids[start : start + _BATCH], texts[start : start + _BATCH], strict=True)
            memories.batch(create(text, memory_id=memory_id) for memory_id, text in pairs)
        return ids

    def get(self, user: str, memory_id: str) -> str:
        return self._client.user(user).memories.get(memory_id).memory

    def list(self, user: str) -> Sequence[str]:
        return [memory.memory for memory in islice(self._client.user(user).memories.list(page_size=PAGE), PAGE)]

    def search(self, user: str, query: str) -> Sequence[str]:
        return [hit.memory for hit in self._client.user(user).memories.search(query, limit=HITS)]

    def context(self, user: str, query: str) -> str:
        return str(self._client.user(user).context(query))

    def add(self, user: str, text: str) -> str:
        return self._client.user(user).memories.add(text)

    def remove(self, user: str, memory_ids: Sequence[str]) -> None:
        self._client.user(user).memories.batch(map(delete, memory_ids))

    def turn(self, user: str, said: str) -> None:
        turn = Turn(self._client, user, str(uuid.uuid4()))
        answer = self._agent.answer(said, turn.context(said))
        turn.append([("user", said), ("assistant", answer)])

    def turn_without(self, user: str, said: str) -> None:
        self._agent.answer(said)

    def settle(self, user: str) -> None:
        self._client.user(user).context(wait=_SETTLE_SECONDS, timeout=_SETTLE_SECONDS + 30)

    def echo(self) -> None:
        self._echo(b"x" * 100)
