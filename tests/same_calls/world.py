"""What clients have seen so far: what they may name in further calls."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any

from tests.same_calls.names import own
from tests.same_calls.server import JSON


@dataclass(slots=True)
class Seen:
    """What replies said about one user. Much of it is gone by now: naming that is a call like any other."""

    memories: dict[str, JSON] = field(default_factory=dict)
    """As last seen, by id."""
    runs: list[str] = field(default_factory=list)
    extractions: list[str] = field(default_factory=list)
    times: list[str] = field(default_factory=list)
    watches: list[str] = field(default_factory=list)
    """Resume tokens of watches of memories."""
    revision: int = 0

    def learn(self, answer: JSON) -> None:
        """Note what an answer about the user names."""
        for message in _objects(answer):
            if "memory_id" in message and "etag" in message:
                self.memories[message["memory_id"]] = message
            for name, known in (("run_id", self.runs), ("extraction_id", self.extractions)):
                if message.get(name) and message[name] not in known:
                    known.append(message[name])
            if message.get("create_time") and message["create_time"] not in self.times:
                self.times.append(message["create_time"])
        for reply in answer["replies"]:
            self.revision = int(reply.get("revision", self.revision))


class World:
    """All users."""

    def __init__(self, namespace: str, user_ids: tuple[str, ...], random: Random) -> None:
        self.namespace = namespace
        self._random = random
        self._users = {user_id: Seen() for user_id in user_ids}

    def seen(self, user_id: str) -> Seen:
        return self._users.setdefault(user_id, Seen())

    def user_id(self) -> str:
        """Return a user; the first ones have most of the calls."""
        user_ids = list(self._users)
        return self._random.choices(user_ids, [1 / (rank + 1) for rank in range(len(user_ids))])[0]

    def memory(self, user_id: str) -> JSON:
        """Return a memory that was seen, rarely one that never was."""
        return self._one_of(list(self.seen(user_id).memories.values()), {"memory_id": own("unknown"), "etag": "1-0"})

    def run_id(self, user_id: str) -> str:
        return self._one_of(self.seen(user_id).runs, own("unknown"))

    def extraction_id(self, user_id: str) -> str:
        return self._one_of(self.seen(user_id).extractions, own("unknown"))

    def _one_of(self, known: list[Any], unknown: Any) -> Any:
        if not known or self._random.random() < 0.04:
            return unknown
        # Of what was seen lately more often than of what was seen long ago.
        return known[-1 - min(int(self._random.expovariate(0.12)), len(known) - 1)]


def _objects(value: Any) -> Iterator[JSON]:
    if isinstance(value, dict):
        yield value
        for each in value.values():
            yield from _objects(each)
    elif isinstance(value, list):
        for each in value:
            yield from _objects(each)
