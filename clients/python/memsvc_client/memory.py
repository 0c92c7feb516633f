"""What the service remembers, as values: memories, changes, commits, search hits, the document of a user."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from typing import Any

from memsvc.v1 import memory_pb2
from memsvc_client.enums import ChangeCause, ChangeKind, Layer, Polarity, SearchMethod, Trust
from memsvc_client.shown import Shown
from memsvc_client.usage import Usage
from memsvc_client.wire import enum_member, time_of


@dataclass(frozen=True, slots=True, repr=False)
class Origin(Shown):
    """Who and what a memory came from. Every field may be empty."""

    agent_id: str = ""
    team_id: str = ""
    session_id: str = ""
    run_id: str = ""
    message_id: str = ""
    author_id: str = ""
    engine: str = ""
    """The extraction engine that found it; empty: it was written directly."""
    model: str = ""
    extraction_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Memory(Shown):
    """One remembered fact of one user."""

    memory_id: str
    memory: str
    """The fact as one self-contained sentence."""
    topics: tuple[str, ...] = ()
    layer: Layer = Layer.KNOWLEDGE
    key: str = ""
    """Its place in the layer's document: `stack.languages`. Empty: none."""
    value: Any = None
    """The value at the key, from JSON; the text where no other was given; None without a key."""
    number: int = 0
    """Small, per user, never reused: models name it `m17`."""
    input: str = ""
    """The words it came from."""
    user_id: str = ""
    namespace: str = ""
    origin: Origin = field(default_factory=Origin)
    trust: Trust = Trust.STATED
    polarity: Polarity = Polarity.NONE
    metadata: Mapping[str, str] = field(default_factory=dict)
    create_time: datetime | None = None
    update_time: datetime | None = None
    observe_time: datetime | None = None
    """When it was said; differs from `create_time` where messages are dated back."""
    expire_time: datetime | None = None
    valid_from: datetime | None = None
    """Since when it is so, as far as that was said."""
    valid_to: datetime | None = None
    """Until when it was so; None: it is so, as far as is known."""
    superseded: bool = False
    """It is a fact of the past: seen with the filter's `valid_at` or `include_superseded`, and by its id."""
    successor_id: str = ""
    """Of a fact of the past: the memory that took its place."""
    etag: str = ""
    """Names the write that last changed it; guards a write that gives it back."""
    config_revision: int = 0

    @property
    def agent_id(self) -> str:
        return self.origin.agent_id

    @property
    def team_id(self) -> str:
        return self.origin.team_id

    def to_dict(self) -> dict[str, Any]:
        """Return what JSON can hold, by the names of the columns of the table `memories`; times in ISO 8601, UTC."""
        return {
            "memory_id": self.memory_id,
            "memory": self.memory,
            "topics": list(self.topics),
            "input": self.input,
            "user_id": self.user_id,
            "agent_id": self.agent_id,
            "team_id": self.team_id,
            "updated_at": _iso(self.update_time),
            "created_at": _iso(self.create_time),
            "layer": str(self.layer),
            "key": self.key,
            "value": self.value,
            "metadata": dict(self.metadata),
            **({"valid_from": _iso(self.valid_from)} if self.valid_from else {}),
            **({"valid_to": _iso(self.valid_to)} if self.valid_to else {}),
        }


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class SearchHit(Memory):
    """A memory that was found."""

    score: float = 0.0
    """How well it fits; comparable within one search only. 0 for LAST_N and FIRST_N."""
    shared_user_id: str = ""
    """The shared user it is from; empty: the user itself."""


class SearchHits(list[SearchHit]):
    """What a search found, best first, and how it searched."""

    def __init__(
        self,
        hits: Iterable[SearchHit] = (),
        method: SearchMethod = SearchMethod.UNKNOWN,
        method_reason: str = "",
        pending_vector_count: int = 0,
        revision: int = 0,
        read_time: datetime | None = None,
        usage: Usage | None = None,
    ) -> None:
        super().__init__(hits)
        self.method = method
        """The method used."""
        self.method_reason = method_reason
        """Why it was less than asked; empty: it was not."""
        self.pending_vector_count = pending_vector_count
        self.revision = revision
        self.read_time = read_time
        self.usage = usage or Usage()
        """What the model cost that searched; only of AGENTIC."""


@dataclass(frozen=True, slots=True, repr=False)
class Change(Shown):
    """Create, update or delete of one memory."""

    kind: ChangeKind
    before: Memory | None
    after: Memory | None
    cause: ChangeCause
    former: Memory | None = None
    """What was so until then, kept as a fact of the past under an id of its own."""

    @property
    def memory(self) -> Memory | None:
        """The memory as it is now or, where it was deleted, as it was."""
        return self.after or self.before


@dataclass(frozen=True, slots=True, repr=False)
class Commit(Shown):
    """Changes made together, all or none."""

    revision: int
    """The user's revision after it; 0: nothing was changed."""
    changes: tuple[Change, ...] = ()
    time: datetime | None = None
    request_id: str = ""
    actor: str = ""
    extraction_id: str = ""


@dataclass(frozen=True, slots=True, repr=False)
class Restored(Commit):
    """What was restored, or would be: the memories after it have no etag then."""

    purged_memory_ids: tuple[str, ...] = ()
    """Memories that stay as they are, since their text of then was purged; at most 100."""


@dataclass(frozen=True, slots=True, repr=False)
class TopicCount(Shown):
    """A topic and how many memories have it."""

    topic: str
    count: int


@dataclass(frozen=True, slots=True, repr=False)
class UserMemory(Shown):
    """The four layers of a user as one nested document."""

    document: Mapping[str, Any]
    """By layer: keyed memories at their place, other texts under "notes"; feedback as {positive, negative}."""
    memory_count: int
    revision: int
    read_time: datetime | None = None

    @property
    def profile(self) -> Mapping[str, Any]:
        return self._layer("profile")

    @property
    def policy(self) -> Mapping[str, Any]:
        return self._layer("policy")

    @property
    def knowledge(self) -> Mapping[str, Any]:
        return self._layer("knowledge")

    @property
    def feedback(self) -> Mapping[str, Any]:
        return self._layer("feedback")

    def to_dict(self) -> dict[str, Any]:
        """Return the document."""
        return dict(self.document)

    def _layer(self, name: str) -> Mapping[str, Any]:
        layer: Mapping[str, Any] = self.document.get(name, {})
        return layer


def memory_of(wire: memory_pb2.Memory) -> Memory:
    """Read one memory."""
    return Memory(**_memory_fields(wire))


def hit_of(wire: memory_pb2.SearchHit) -> SearchHit:
    """Read one search hit."""
    return SearchHit(**_memory_fields(wire.memory), score=wire.score, shared_user_id=wire.shared_user_id)


def change_of(wire: memory_pb2.Change) -> Change:
    """Read one change."""
    return Change(
        kind=enum_member(ChangeKind, wire.kind),
        before=memory_of(wire.before) if wire.HasField("before") else None,
        after=memory_of(wire.after) if wire.HasField("after") else None,
        cause=enum_member(ChangeCause, wire.cause),
        former=memory_of(wire.former) if wire.HasField("former") else None,
    )


def commit_of(wire: memory_pb2.Commit) -> Commit:
    """Read one commit."""
    return Commit(
        revision=wire.revision,
        changes=tuple(change_of(change) for change in wire.changes),
        time=time_of(wire, "time"),
        request_id=wire.request_id,
        actor=wire.actor,
        extraction_id=wire.extraction_id,
    )


def restored_of(reply: memory_pb2.RestoreMemoriesResponse) -> Restored:
    """Read what was restored."""
    commit = commit_of(reply.commit)
    return Restored(
        **{each.name: getattr(commit, each.name) for each in fields(Commit)},
        purged_memory_ids=tuple(reply.purged_memory_ids),
    )


def document_of(reply: memory_pb2.GetUserMemoryResponse) -> UserMemory | None:
    """Read a user's document, None where there is no memory in it."""
    if not reply.memory_count:
        return None
    return UserMemory(json.loads(reply.document_json), reply.memory_count, reply.revision, time_of(reply, "read_time"))


def _memory_fields(wire: memory_pb2.Memory) -> dict[str, Any]:
    return {
        "memory_id": wire.memory_id,
        "memory": wire.text,
        "topics": tuple(wire.topics),
        "layer": enum_member(Layer, wire.layer),
        "key": wire.key,
        "value": json.loads(wire.value_json) if wire.value_json else (wire.text if wire.key else None),
        "number": wire.number,
        "input": wire.input,
        "user_id": wire.scope.user_id,
        "namespace": wire.scope.namespace,
        "origin": Origin(**{each.name: getattr(wire.origin, each.name) for each in fields(Origin)}),
        "trust": enum_member(Trust, wire.trust),
        "polarity": enum_member(Polarity, wire.polarity),
        "metadata": dict(wire.metadata),
        "create_time": time_of(wire, "create_time"),
        "update_time": time_of(wire, "update_time"),
        "observe_time": time_of(wire, "observe_time"),
        "expire_time": time_of(wire, "expire_time"),
        "valid_from": time_of(wire, "valid_from"),
        "valid_to": time_of(wire, "valid_to"),
        "superseded": wire.superseded,
        "successor_id": wire.successor_id,
        "etag": wire.etag,
        "config_revision": wire.config_revision,
    }


def _iso(time: datetime | None) -> str | None:
    return time.astimezone(UTC).isoformat() if time else None
