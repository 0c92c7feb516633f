"""Reads, as clients send them."""

from __future__ import annotations

from collections.abc import Mapping

from tests.same_calls.drawing import LEARNING, Action, Drawing
from tests.same_calls.server import JSON, Call
from tests.same_calls.words import LABELS, QUERIES

_METHODS = (0, 0, 1, 1, 2, 3, 4, 5, 6)
_BUDGETS = tuple(("max_characters", size) for size in (200, 400, 2_000))
_BUDGETS += tuple(("max_tokens", size) for size in (50, 100, 700))


class Reading:
    """Draws reads."""

    def __init__(self, drawing: Drawing) -> None:
        self._draw = drawing

    @property
    def weights(self) -> Mapping[object, float]:
        return {
            self.get: 8,
            self.list: 7,
            self.search: 10,
            self.document: 4,
            self.topics: 4,
            self.changes: 5,
            self.watch: 4,
            self.runs: 3,
            self.history: 3,
            self.said: 5,
            self.session: 3,
            self.sessions: 3,
            self.extraction: 2,
            self.extractions: 4,
            self.watch_extraction: 4,
            self.context: 10,
            self.stats: 4,
            self.users: 2,
            self.server: 1.5,
            self.tools: 1.5,
            self.config: 3,
        }

    def get(self) -> Action:
        user_id = self._draw.world.user_id()
        request = self._draw.target(user_id) | self._draw.consistency(user_id)
        yield self._draw.call("GetMemory", request, user_id)

    def list(self) -> Action:
        user_id = self._draw.world.user_id()
        request = {"order": self._draw.random.randrange(8)} | self._draw.filtered(0.4) | self._draw.consistency(user_id)
        yield from self._draw.pages("ListMemories", request, user_id)

    def search(self) -> Action:
        user_id = self._draw.world.user_id()
        request = {
            "query": self._draw.random.choice(QUERIES),
            "method": self._draw.random.choice(_METHODS),
            "top_k": self._draw.random.choice((0, 1, 3, 100)),
            "shared_user_ids": self._draw.shared_user_ids(user_id),
        }
        request |= self._draw.filtered(0.3) | self._draw.consistency(user_id)
        yield self._draw.call("SearchMemories", request, user_id)

    def document(self) -> Action:
        user_id = self._draw.world.user_id()
        request = {"layers": self._draw.layers()} | self._draw.consistency(user_id)
        yield self._draw.call("GetUserMemory", request, user_id)

    def topics(self) -> Action:
        yield from self._draw.pages("ListTopics", self._draw.filtered(0.3))

    def changes(self) -> Action:
        user_id = self._draw.world.user_id()
        memory_id = self._draw.world.memory(user_id)["memory_id"] if self._draw.chance(0.4) else ""
        yield from self._draw.pages("ListMemoryChanges", {"memory_id": memory_id}, user_id)

    def watch(self) -> Action:
        """Read the state; or what came after an earlier watch, up to a write of its own."""
        user_id = self._draw.world.user_id()
        tokens = self._draw.world.seen(user_id).watches
        if not tokens or self._draw.chance(0.4):
            request = {"send_initial": True} | self._draw.filtered(0.2)
            answer = yield self._draw.call("WatchMemories", request, user_id, lambda reply: "initial_done" in reply)
            tokens += [reply["resume_token"] for reply in answer["replies"][-1:] if "filter" not in request]
            return
        token = tokens.pop()
        last = yield self._draw.call("CreateMemory", {"memory": {"text": "Is watched"}}, user_id)
        revision = last["replies"][0]["revision"]
        yield self._draw.call(
            "WatchMemories",
            {"resume_token": token},
            user_id,
            lambda reply: reply.get("commit", {}).get("revision") == revision,
        )

    def runs(self) -> Action:
        request: JSON = {"session_id": self._draw.session_id() if self._draw.chance(0.8) else ""}
        request |= {name: self._draw.chance(0.5) for name in ("descending", "include_replaced")}
        yield from self._draw.pages("ListRuns", request)

    def history(self) -> Action:
        roles = self._draw.random.sample((1, 2, 3, 4), self._draw.random.choice((0, 1, 2)))
        request = {"session_id": self._draw.session_id(), "last_runs": self._draw.random.choice((0, 1, 3))}
        yield self._draw.call("GetHistory", request | {"roles": roles})

    def said(self) -> Action:
        user_id = self._draw.world.user_id()
        request = {
            "query": self._draw.random.choice(QUERIES),
            "top_k": self._draw.random.choice((0, 1, 100, 101)),
            "session_ids": [self._draw.session_id()] if self._draw.chance(0.3) else [],
            "roles": self._draw.random.sample((1, 2, 3, 4), self._draw.random.choice((0, 0, 2))),
            "beside_count": self._draw.random.choice((0, 1, 11)),
        }
        yield self._draw.call("SearchHistory", request | self._draw.consistency(user_id), user_id)

    def session(self) -> Action:
        yield self._draw.call("GetSession", {"session_id": self._draw.session_id()})

    def sessions(self) -> Action:
        yield from self._draw.pages("ListSessions", {})

    def extraction(self) -> Action:
        user_id = self._draw.world.user_id()
        yield self._draw.call("GetExtraction", {"extraction_id": self._draw.world.extraction_id(user_id)}, user_id)

    def extractions(self) -> Action:
        states = self._draw.random.sample((1, 3, 5), self._draw.random.choice((0, 1, 2)))
        session_id = self._draw.session_id() if self._draw.chance(0.3) else ""
        yield from self._draw.pages("ListExtractions", {"states": states, "session_id": session_id})

    def watch_extraction(self) -> Action:
        """Only of one that has ended it is known how long its stream is."""
        user_id = self._draw.world.user_id()
        extraction_id = self._draw.world.extraction_id(user_id)
        yield self._draw.settled(user_id)
        answer = yield self._draw.call("WatchExtraction", {"extraction_id": extraction_id}, user_id)
        if self._draw.chance(0.5) and answer["replies"]:
            token = self._draw.random.choice(answer["replies"])["event"]["resume_token"]
            request = {"extraction_id": extraction_id, "resume_token": token}
            yield self._draw.call("WatchExtraction", request, user_id)

    def context(self) -> Action:
        user_id = self._draw.world.user_id()
        request: JSON = {
            "layers": self._draw.layers(),
            "format": self._draw.random.randrange(4),
            "query": self._draw.random.choice(("", *QUERIES)),
            "wrapper": self._draw.chance(0.7),
            "shared_user_ids": self._draw.shared_user_ids(user_id),
        }
        request |= self._draw.filtered(0.2) | self._draw.consistency(user_id)
        if self._draw.chance(0.4):
            request["budget"] = dict([self._draw.random.choice(_BUDGETS)])
        if self._draw.chance(0.4):
            last_runs = self._draw.random.choice((0, 1, 3))
            request["history"] = {"session_id": self._draw.session_id(), "last_runs": last_runs}
        if self._draw.chance(0.3):
            request |= LEARNING
        answer = yield self._draw.call("CompileContext", request, user_id)
        if self._draw.chance(0.3) and answer["replies"]:
            request["etag"] = answer["replies"][0].get("etag", "")
            yield self._draw.call("CompileContext", request, user_id)

    def stats(self) -> Action:
        user_id = self._draw.world.user_id()
        yield self._draw.call("GetStats", self._draw.consistency(user_id), user_id)

    def users(self) -> Action:
        page_size = self._draw.random.choice((0, 1, 2, 5))
        token = ""
        for _ in range(4):
            request = {"namespace": self._draw.world.namespace, "page_size": page_size, "page_token": token}
            answer = yield Call("ListUsers", request)
            token = answer["replies"][0].get("next_page_token", "") if answer["replies"] else ""
            if not token:
                return

    def tools(self) -> Action:
        yield self._draw.call("ListTools", {"format": self._draw.random.randrange(6)})

    def config(self) -> Action:
        agent_id = self._draw.random.choice(LABELS) if self._draw.chance(0.7) else ""
        yield Call("GetMemoryConfig", {"namespace": self._draw.world.namespace, "agent_id": agent_id})

    def server(self) -> Action:
        yield Call("GetServerInfo", {})
