"""What requests are made of, drawn at random from a seed."""

from __future__ import annotations

import itertools
import json
import uuid
from collections.abc import Callable, Generator
from random import Random
from typing import Any

from memsvc.v1.common_pb2 import Layer
from tests.same_calls.names import own
from tests.same_calls.server import JSON, Call
from tests.same_calls.words import KEYS, LABELS, QUERIES, SETTINGS, TEXTS, TURNS, VALUES
from tests.same_calls.world import World

Action = Generator[Call, JSON, None]
"""Yields calls, and is sent what was answered to each."""

LEARNING = {"wait_for_learning": "25s"}
_LAYERS = (1, 2, 3, 4)
_SESSIONS = 4
_MASKS = ("text", "topics", "text,topics,metadata", "valueJson", "polarity", "expireTime", "observeTime", "*", "number")


class Drawing:
    """Draws parts of requests, and calls."""

    def __init__(self, world: World, random: Random) -> None:
        self.world = world
        self.random = random
        self._numbers = itertools.count(1)

    def chance(self, share: float) -> bool:
        return self.random.random() < share

    def call(
        self, method: str, request: JSON, user_id: str | None = None, enough: Callable[[JSON], bool] | None = None
    ) -> Call:
        """Return a call of this user, or of any."""
        user_id = self.world.user_id() if user_id is None else user_id
        request = {"scope": {"namespace": self.world.namespace, "user_id": user_id}, **request}
        return Call(method, request, enough) if enough is not None else Call(method, request)

    def pages(self, method: str, request: JSON, user_id: str | None = None) -> Action:
        """Read a few pages; now and then with the token of another request."""
        first = self.call(method, {**request, "page_size": self.random.choice((0, 1, 2, 5))}, user_id)
        token = ""
        for _ in range(3):
            answer = yield Call(method, {**first.request, "page_token": token})
            token = answer["replies"][0].get("next_page_token", "") if answer["replies"] else ""
            if not token:
                return
        if self.chance(0.2):
            yield self.call(method, {**request, "page_token": token})

    def settled(self, user_id: str) -> Call:
        """Return the call that ends when nothing is left to be learned: what comes after does not depend on when."""
        return self.call("CompileContext", LEARNING, user_id)

    def repeatable(self, request: JSON) -> JSON:
        """Return the request with an id."""
        return {**request, "request_id": str(uuid.UUID(int=self.random.getrandbits(128), version=4))}

    def guarded(self, request: JSON, user_id: str) -> JSON:
        """Return the request with an id, and now and then bound to a revision."""
        request = self.repeatable(request)
        if self.chance(0.15):
            request["expected_revision"] = max(0, self.world.seen(user_id).revision + self.random.choice((-1, 0, 0, 1)))
        return request

    def memory(self) -> JSON:
        memory: JSON = {"layer": self.random.choice((0, *_LAYERS)), "text": self.random.choice(TEXTS)}
        if self.chance(0.3):
            memory["memory_id"] = own(f"memory-{next(self._numbers) if self.chance(0.7) else 1}")
        if self.chance(0.5):
            # Few places, so that they are taken now and then.
            memory |= {"layer": self.random.choice((1, 2)), "key": self.random.choice(KEYS)}
            memory["value_json"] = self.random.choice(VALUES)
        if self.chance(0.4):
            memory["topics"] = self.random.sample(LABELS, self.random.randint(1, 3))
        if self.chance(0.2):
            memory["metadata"] = {self.random.choice(LABELS): self.random.choice(TEXTS)}
        if self.chance(0.2):
            memory["observe_time"] = f"200{self.random.randrange(10)}-02-03T04:05:06.000007Z"
        if self.chance(0.2):
            memory["valid_from"] = f"200{self.random.randrange(10)}-03-01T00:00:00Z"
        if self.chance(0.2):
            memory["valid_to"] = f"200{self.random.randrange(10)}-09-01T00:00:00Z"
        if self.chance(0.1):
            memory["ttl"] = f"{self.random.randint(1, 50)}0000s"
        if self.chance(0.2):
            memory["polarity"] = self.random.choice((1, 2))
        if self.chance(0.2):
            memory["origin"] = {"agent_id": self.random.choice(LABELS), "session_id": self.session_id()}
        if self.chance(0.2):
            memory["trust"] = self.random.choice((1, 2, 3, 4))
        return memory

    def updating(self, user_id: str) -> JSON:
        known, memory = self.world.memory(user_id), self.memory()
        memory |= {"memory_id": known["memory_id"]}
        if self.chance(0.2) and "key" in known:
            memory |= {
                "memory_id": "",
                "key": known["key"],
                "layer": Layer.Value(known.get("layer", "LAYER_UNSPECIFIED")),
            }
        if self.chance(0.3):
            memory["etag"] = known["etag"]
        return {"memory": memory, "update_mask": self.random.choice(_MASKS), "allow_missing": self.chance(0.2)}

    def deleting(self, user_id: str) -> JSON:
        etag = {"etag": self.world.memory(user_id)["etag"]} if self.chance(0.2) else {}
        return {**self.target(user_id), "allow_missing": self.chance(0.2), **etag}

    def target(self, user_id: str) -> JSON:
        if self.chance(0.2):
            return {"address": {"layer": self.random.choice(_LAYERS), "key": self.random.choice(KEYS)}}
        return {"memory_id": self.world.memory(user_id)["memory_id"]}

    def run(self, user_id: str) -> JSON:
        run: JSON = {"session_id": self.session_id(), "messages": self.messages()}
        if self.chance(0.3):
            run["run_id"] = own(f"run-{next(self._numbers) if self.chance(0.6) else 1}")
        if self.chance(0.1):
            run["replaces_run_id"] = self.world.run_id(user_id)
        if self.chance(0.3):
            run |= {"agent_id": self.random.choice(LABELS), "metadata": {"channel": self.random.choice(LABELS)}}
        if self.chance(0.2):
            run["context_memory_ids"] = [self.world.memory(user_id)["memory_id"]]
        return run

    def own_settings(self) -> JSON:
        """Return what a request brings of settings, now and then."""
        return {"settings": self.random.choice(SETTINGS)} if self.chance(0.3) else {}

    def messages(self) -> list[JSON]:
        said = [self.random.choice(TURNS) for _ in range(self.random.randint(1, 3))]
        messages: list[JSON] = []
        for text in said:
            messages.append({"role": "ROLE_USER", "parts": [{"text": {"text": text}}]})
            if self.chance(0.5):
                messages.append({"role": "ROLE_ASSISTANT", "parts": [{"text": {"text": "Noted."}}], "name": "helper"})
        if self.chance(0.2):
            call = {"tool_call": {"id": "call-1", "name": "look_up", "arguments_json": '{"q": "é"}'}}
            messages.append({"role": "ROLE_ASSISTANT", "parts": [call], "message_id": own("message")})
        return messages

    def tool_call(self) -> tuple[str, JSON]:
        """Return a tool and what a model might give it; now and then what belongs to another tool."""
        layer = self.random.choice(("profile", "policy", "knowledge", "feedback", "PROFILE", "self"))
        number = f"m{self.random.randrange(1, 40)}"
        said = {"text": self.random.choice(TEXTS)[:300], "topics": self.random.sample(LABELS, 2)}
        keyed = {"key": self.random.choice(KEYS), "value": json.loads(self.random.choice(VALUES[:8]))}
        named = [{"number": number}, {"topic": self.random.choice(LABELS)}, {"key": self.random.choice(KEYS)}]
        named += [{"description": self.random.choice(QUERIES)}, {"all": True}, {"number": number, "topic": "a"}]
        calls: list[tuple[str, JSON]] = [
            ("save_memory", {"layer": layer, **said}),
            ("save_memory", {"layer": layer, **said, **keyed}),
            ("update_memory", {"number": number, **said}),
            ("update_memory", {"number": number, "value": keyed["value"]}),
            ("forget", self.random.choice(named)),
            ("search_memories", {"query": self.random.choice(QUERIES)}),
            ("get_memories", {"layer": layer} if self.chance(0.5) else {}),
            ("update_user_memory", {"task": self.random.choice(TURNS)}),
            ("read_chat_history", {"last_runs": self.random.randint(0, 3)}),
            ("search_history", {"query": self.random.choice(QUERIES)}),
        ]
        name, arguments = self.random.choice(calls)
        return (self.random.choice(calls)[0] if self.chance(0.1) else name), arguments

    def session_id(self) -> str:
        return own(f"session-{self.random.randrange(_SESSIONS)}")

    def filter(self) -> JSON:
        parts: list[JSON] = [
            {"layers": self.random.sample(_LAYERS, self.random.randint(1, 3))},
            {"topics_any": self.random.sample(LABELS, 2)},
            {"topics_all": self.random.sample(LABELS, 2)},
            {"key_path": self.random.choice(KEYS)},
            {"text_contains": self.random.choice(QUERIES)},
            {"trusts": self.random.sample((1, 2, 3, 4), 2)},
            {"session_ids": [self.session_id()]},
            {"engines": ["rules"]},
            {"polarities": [self.random.choice((1, 2))]},
            {"valid_at": f"200{self.random.randrange(10)}-06-01T00:00:00Z"},
            {"include_superseded": True},
            {"observe_time": {"end_time": f"200{self.random.randrange(10)}-06-01T00:00:00Z"}},
        ]
        return {
            name: value for part in self.random.sample(parts, self.random.randint(1, 2)) for name, value in part.items()
        }

    def filtered(self, share: float) -> JSON:
        return {"filter": self.filter()} if self.chance(share) else {}

    def consistency(self, user_id: str) -> JSON:
        revision = self.world.seen(user_id).revision
        asked: list[Any] = [{}, {}, {}, {"latest": True}, {"max_staleness": "3600s"}]
        asked += [
            {"at_least_revision": max(0, revision - 1)},
            {"at_least_revision": revision + 1},
            {"as_of_revision": 1},
            {"as_of_revision": self.past_revision(user_id)},
            {"as_of_revision": self.past_revision(user_id)},
        ]
        times = self.world.seen(user_id).times
        asked += [{"as_of_time": self.random.choice(times)}] if times else []
        chosen = self.random.choice(asked)
        return {"consistency": chosen} if chosen else {}

    def past_revision(self, user_id: str) -> int:
        """Return a revision, of late more often than of long ago; rarely one that is still to come."""
        return max(0, self.world.seen(user_id).revision + 1 - int(self.random.expovariate(0.2)))

    def layers(self) -> list[int]:
        return self.random.sample(_LAYERS, self.random.choice((0, 0, 1, 2)))

    def shared_user_ids(self, user_id: str) -> list[str]:
        others = {self.world.user_id() for _ in range(2)} - {user_id}
        return sorted(others) if self.chance(0.2) else []
