"""Writes, as clients send them: of memories, runs and extractions, repeated and erased."""

from __future__ import annotations

import json
from collections.abc import Mapping

from tests.same_calls.drawing import LEARNING, Action, Drawing
from tests.same_calls.server import JSON, Call
from tests.same_calls.words import LABELS, SETTINGS

_KEPT = 40


class Writing:
    """Draws writes; remembers the latest, so as to repeat them."""

    def __init__(self, drawing: Drawing) -> None:
        self._draw = drawing
        self._sent: list[Call] = []

    @property
    def weights(self) -> Mapping[object, float]:
        return {
            self.create: 14,
            self.update: 12,
            self.delete: 5,
            self.batch: 7,
            self.clear: 2,
            self.restore: 7,
            self.append_run: 14,
            self.learn_from_run: 4,
            self.extract: 4,
            self.extract_runs: 2,
            self.observe: 4,
            self.cancel: 3,
            self.retry: 3,
            self.delete_session: 2,
            self.move: 7,
            self.summarize: 2,
            self.consolidate: 2,
            self.erase: 1,
            self.erase_namespace: 1.5,
            self.call_tool: 12,
            self.configure: 6,
            self.repeat: 7,
        }

    def note(self, call: Call) -> None:
        if "request_id" in call.request or "call_id" in call.request:
            self._sent = [*self._sent[-_KEPT:], call]

    def create(self) -> Action:
        user_id = self._draw.world.user_id()
        yield self._draw.call("CreateMemory", self._draw.guarded({"memory": self._draw.memory()}, user_id), user_id)

    def update(self) -> Action:
        user_id = self._draw.world.user_id()
        request = self._draw.guarded(self._draw.updating(user_id), user_id)
        yield self._draw.call("UpdateMemory", request, user_id)

    def delete(self) -> Action:
        user_id = self._draw.world.user_id()
        request = {**self._draw.deleting(user_id), "purge": self._draw.chance(0.3)}
        yield self._draw.call("DeleteMemory", self._draw.guarded(request, user_id), user_id)

    def batch(self) -> Action:
        user_id = self._draw.world.user_id()
        kinds = self._draw.random.choices(("create", "update", "delete"), (5, 2, 1), k=self._draw.random.randint(1, 5))
        drawn = {
            "create": lambda: {"memory": self._draw.memory()},
            "update": lambda: self._draw.updating(user_id),
            "delete": lambda: self._draw.deleting(user_id),
        }
        operations = [{kind: drawn[kind]()} for kind in kinds]
        request = self._draw.guarded({"operations": operations}, user_id)
        yield self._draw.call("BatchWriteMemories", request, user_id)

    def clear(self) -> Action:
        user_id = self._draw.world.user_id()
        chosen = {"all": True} if self._draw.chance(0.15) else {"filter": self._draw.filter()}
        how = {"purge": self._draw.chance(0.3), "validate_only": self._draw.chance(0.3)}
        yield self._draw.call("ClearMemories", self._draw.guarded(chosen | how, user_id), user_id)

    def restore(self) -> Action:
        user_id = self._draw.world.user_id()
        kind = self._draw.random.choice(("newest", "one", "some", "some", "all"))
        revision = self._draw.past_revision(user_id)
        chosen: JSON = {"revert_revision": 0 if kind == "newest" else revision}
        if kind == "some":
            named = {self._draw.world.memory(user_id)["memory_id"]: None for _ in range(3)}
            chosen = {"to_revision": revision, "memory_ids": list(named)}
        elif kind == "all":
            chosen = {"to_revision": revision, "all": True}
        chosen["validate_only"] = self._draw.chance(0.2)
        yield self._draw.call("RestoreMemories", self._draw.guarded(chosen, user_id), user_id)

    def append_run(self) -> Action:
        user_id = self._draw.world.user_id()
        request = {"run": self._draw.run(user_id), "learning_mode": self._draw.random.choices((0, 1, 2), (6, 1, 2))[0]}
        yield self._draw.call("AppendRun", self._draw.repeatable(request), user_id)

    def learn_from_run(self) -> Action:
        user_id = self._draw.world.user_id()
        request = {"run": self._draw.run(user_id), **LEARNING, **self._draw.own_settings()}
        yield self._draw.call("AppendRun", self._draw.repeatable(request), user_id)

    def extract(self) -> Action:
        request = {"messages": {"messages": self._draw.messages()}, "validate_only": self._draw.chance(0.2)}
        yield self._draw.call("ExtractMemories", self._draw.repeatable(request))

    def extract_runs(self) -> Action:
        user_id = self._draw.world.user_id()
        run_ids = {self._draw.world.run_id(user_id): None for _ in range(self._draw.random.randint(1, 3))}
        request = self._draw.repeatable({"runs": {"run_ids": list(run_ids)}})
        yield self._draw.call("ExtractMemories", request, user_id)

    def observe(self) -> Action:
        """Observe a session from where it stands, or a little before; now and then with a number that is missing."""
        user_id = self._draw.world.user_id()
        session_id = self._draw.session_id()
        start = {"start": {"session_id": session_id, "learning_mode": self._draw.random.choice((0, 0, 1, 2))}}
        answer = yield self._draw.call("ObserveConversation", start, user_id)
        last = int(answer["replies"][0]["started"].get("last_number", 0)) if answer["replies"] else 0
        said = self._draw.messages()
        first = last + 1 + (self._draw.chance(0.1) and 1)
        messages = tuple({"message": {"number": first + index, "message": each}} for index, each in enumerate(said))
        if first > last + 1:
            messages = messages[:1]
        call = self._draw.call("ObserveConversation", start, user_id)
        yield Call(call.method, call.request, more=messages)
        if self._draw.chance(0.4):
            # All of it once more, and then the same number for something else.
            yield Call(call.method, call.request, more=messages)
            other = {"number": first, "message": {"role": "ROLE_USER", "parts": [{"text": {"text": "Other"}}]}}
            yield Call(call.method, call.request, more=({"message": other},))

    def cancel(self) -> Action:
        user_id = self._draw.world.user_id()
        request = self._draw.repeatable({"extraction_id": self._draw.world.extraction_id(user_id)})
        yield self._draw.call("CancelExtraction", request, user_id)

    def retry(self) -> Action:
        user_id = self._draw.world.user_id()
        extraction_ids = [self._draw.world.extraction_id(user_id)] if self._draw.chance(0.8) else []
        request = self._draw.repeatable({"extraction_ids": extraction_ids})
        yield self._draw.call("RetryExtractions", request, user_id)
        yield self._draw.settled(user_id)

    def delete_session(self) -> Action:
        how = {name: self._draw.chance(0.4) for name in ("forget_learned", "purge", "allow_missing")}
        request = self._draw.repeatable({"session_id": self._draw.session_id(), **how})
        yield self._draw.call("DeleteSession", request)

    def summarize(self) -> Action:
        request = {"session_id": self._draw.session_id(), "wait_for_summary": "50s"}
        yield self._draw.call("SummarizeSession", self._draw.repeatable(request))

    def consolidate(self) -> Action:
        how = {"validate_only": True} if self._draw.chance(0.4) else {"wait_for_consolidation": "50s"}
        yield self._draw.call("ConsolidateMemories", self._draw.repeatable(how))

    def erase(self) -> Action:
        yield self._draw.call("EraseUser", self._draw.repeatable({}))

    def move(self) -> Action:
        """Export a user, and import some of it, and what nobody exported, where it is there already or not."""
        source = self._draw.world.user_id()
        user_id = source if self._draw.chance(0.4) else self._draw.world.user_id()
        exporting = {"page_size": self._draw.random.choice((0, 3, 20))}
        answer = yield self._draw.call("ExportUser", exporting, source)
        records = answer["replies"][0].get("records", []) if answer["replies"] else []
        if token := answer["replies"][0].get("next_page_token", "") if answer["replies"] else "":
            yield self._draw.call("ExportUser", {**exporting, "page_token": token}, source)
        records = self._draw.random.sample(records, min(len(records), 12))
        records += [{"memory": self._draw.memory()} for _ in range(self._draw.random.randrange(3))]
        records += [{"run": self._draw.run(user_id)} for _ in range(self._draw.random.randrange(2))]
        request = {"records": records, "mode": self._draw.random.randrange(4)}
        yield self._draw.call("ImportMemories", self._draw.repeatable(request), user_id)

    def erase_namespace(self) -> Action:
        """Of users of its own: the others live on."""
        for number in range(self._draw.random.randrange(3)):
            scope = {"namespace": "spare", "user_id": f"spare-{number}"}
            yield Call("CreateMemory", {"scope": scope, "memory": self._draw.memory()})
        confirmation = "spare" if self._draw.chance(0.7) else "spar"
        yield Call("EraseNamespace", {"namespace": "spare", "confirm_namespace": confirmation})

    def call_tool(self) -> Action:
        user_id = self._draw.world.user_id()
        name, arguments = self._draw.tool_call()
        request: JSON = {"name": name, "arguments_json": json.dumps(arguments, ensure_ascii=False)}
        if self._draw.chance(0.5):
            request |= {"session_id": self._draw.session_id()}
        if self._draw.chance(0.7):
            request |= {"call_id": f"call_{self._draw.random.randrange(1_000)}"}
        if self._draw.chance(0.9):
            request["settings"] = {"mode": "LEARNING_MODE_BOTH"}
        request["shared_user_ids"] = self._draw.shared_user_ids(user_id)
        yield self._draw.call("CallTool", request, user_id)

    def configure(self) -> Action:
        """Of an agent mostly: what the namespace says is of every call that follows."""
        agent_id = self._draw.random.choice(LABELS) if self._draw.chance(0.7) else ""
        settings = self._draw.random.choice(SETTINGS[not agent_id :])
        update_mask = self._draw.random.choice(
            ("*", "*", "profile,operations,mode", "profile.schemaJson", "layers", "")
        )
        request = {
            "namespace": self._draw.world.namespace,
            "agent_id": agent_id,
            "settings": settings,
            "update_mask": update_mask,
            "validate_only": self._draw.chance(0.1),
            "etag": "1-0000" if self._draw.chance(0.05) else "",
        }
        yield Call("UpdateMemoryConfig", request)

    def repeat(self) -> Action:
        """Send a write once more; now and then something else under its request id."""
        if not self._sent:
            return
        sent = self._draw.random.choice(self._sent)
        if self._draw.chance(0.25):
            other = self._draw.random.choice([each for each in self._sent if each.method == sent.method])
            ids = {name: sent.request[name] for name in ("scope", "request_id", "call_id") if name in sent.request}
            sent = Call(sent.method, {**other.request, **ids})
        yield sent
        if sent.method == "RetryExtractions":
            yield self._draw.settled(sent.request["scope"]["user_id"])
