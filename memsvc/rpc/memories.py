"""Memories, changes and commits, from and to their messages."""

from __future__ import annotations

from typing import Any, Final, Literal, Protocol

from memsvc.clock import now_micros
from memsvc.errors import invalid
from memsvc.limits import check_id, check_key
from memsvc.memories.writing import Target
from memsvc.model import Cause, Change, ChangeKind, Commit, Layer, Memory, Origin, Polarity, Scope, Trust
from memsvc.rpc.fields import (
    LAYER_NUMBERS,
    LAYERS,
    MAX_TTL_SECONDS,
    POLARITIES,
    POLARITY_NUMBERS,
    TRUST_NUMBERS,
    TRUSTS,
    read_duration,
    read_enum,
    read_time,
    set_time,
    timestamp,
)
from memsvc.v1 import common_pb2, memory_pb2

_CHANGE_KINDS: Final = {
    ChangeKind.CREATED: memory_pb2.CHANGE_KIND_CREATED,
    ChangeKind.UPDATED: memory_pb2.CHANGE_KIND_UPDATED,
    ChangeKind.DELETED: memory_pb2.CHANGE_KIND_DELETED,
}
_CAUSES: Final = {
    Cause.REQUESTED: memory_pb2.CHANGE_CAUSE_REQUESTED,
    Cause.EXTRACTED: memory_pb2.CHANGE_CAUSE_EXTRACTED,
    Cause.EXPIRED: memory_pb2.CHANGE_CAUSE_EXPIRED,
    Cause.RESTORED: memory_pb2.CHANGE_CAUSE_RESTORED,
    Cause.IMPORTED: memory_pb2.CHANGE_CAUSE_IMPORTED,
    Cause.CONSOLIDATED: memory_pb2.CHANGE_CAUSE_CONSOLIDATED,
}


def read_memory(memory: memory_pb2.Memory, path: str) -> Memory:
    """Return what a caller gave of a memory; output-only fields are ignored, limits not checked yet."""
    if memory.memory_id:
        check_id(f"{path}.memory_id", memory.memory_id)
    return Memory(
        memory_id=memory.memory_id,
        number=0,
        layer=read_enum(f"{path}.layer", memory.layer, LAYERS, Layer.KNOWLEDGE),
        text=memory.text,
        key=memory.key,
        value_json=memory.value_json,
        topics=tuple(memory.topics),
        input=memory.input,
        origin=_read_origin(memory.origin) if memory.HasField("origin") else Origin(),
        trust=read_enum(f"{path}.trust", memory.trust, TRUSTS, Trust.STATED),
        polarity=read_enum(f"{path}.polarity", memory.polarity, POLARITIES, Polarity.NONE),
        metadata=dict(memory.metadata) if memory.metadata else {},
        observe_time=read_time(f"{path}.observe_time", memory.observe_time) if memory.HasField("observe_time") else 0,
        expire_time=_read_expiration(memory, path),
        valid_from=_read_valid(memory, path, "valid_from"),
        valid_to=_read_valid(memory, path, "valid_to"),
    )


def _read_origin(origin: common_pb2.Origin) -> Origin:
    return Origin(
        agent_id=origin.agent_id,
        team_id=origin.team_id,
        session_id=origin.session_id,
        run_id=origin.run_id,
        message_id=origin.message_id,
        author_id=origin.author_id,
    )


def _read_expiration(memory: memory_pb2.Memory, path: str) -> int:
    given = memory.WhichOneof("expiration")
    if given == "ttl":
        seconds = read_duration(f"{path}.ttl", memory.ttl, MAX_TTL_SECONDS)
        if not seconds:
            raise invalid(f"{path}.ttl", "must be more than 0")
        return now_micros() + int(seconds * 1_000_000)
    if given == "expire_time":
        time = read_time(f"{path}.expire_time", memory.expire_time)
        if time <= 0:
            raise invalid(f"{path}.expire_time", "must be after 1970")
        return time
    return 0


def _read_valid(memory: memory_pb2.Memory, path: str, name: Literal["valid_from", "valid_to"]) -> int:
    # 0 is "not set": what began at the epoch itself began a microsecond later.
    return (read_time(f"{path}.{name}", getattr(memory, name)) or 1) if memory.HasField(name) else 0


def proto_memory(memory: Memory, scope: Scope) -> memory_pb2.Memory:
    """Return the message for a memory of `scope`."""
    # Field by field, without those that are empty: to name them all as the message is made takes half as long again.
    message = memory_pb2.Memory()
    message.memory_id, message.number, message.text = memory.memory_id, memory.number, memory.text
    message.scope.namespace, message.scope.user_id = scope.namespace, scope.user_id
    message.layer, message.trust = LAYER_NUMBERS[memory.layer], TRUST_NUMBERS[memory.trust]
    message.etag = memory.etag
    if memory.polarity is not Polarity.NONE:
        message.polarity = POLARITY_NUMBERS[memory.polarity]
    if memory.topics:
        message.topics.extend(memory.topics)
    if memory.metadata:
        message.metadata.update(memory.metadata)
    if memory.origin != _NO_ORIGIN:
        message.origin.SetInParent()
        _set_texts(message.origin, memory.origin, _ORIGIN_TEXTS)
    _set_texts(message, memory, _RARE_TEXTS)
    for name in _TIMES:
        micros = getattr(memory, name)
        if micros:
            set_time(getattr(message, name), micros)
    if memory.superseded:
        message.superseded = True
    if memory.config_revision:
        message.config_revision = memory.config_revision
    return message


def _set_texts(message: Any, struct: Any, names: tuple[str, ...]) -> None:
    for name in names:
        text = getattr(struct, name)
        if text:
            setattr(message, name, text)


_ORIGIN_TEXTS: Final = Origin.__struct_fields__
_RARE_TEXTS: Final = ("key", "value_json", "input", "successor_id")
_TIMES: Final = ("create_time", "update_time", "observe_time", "expire_time", "valid_from", "valid_to")
_NO_ORIGIN: Final = Origin()


def proto_change(change: Change, scope: Scope) -> memory_pb2.Change:
    """Return the message for a change."""
    return memory_pb2.Change(
        kind=_CHANGE_KINDS[change.kind],
        before=proto_memory(change.before, scope) if change.before is not None else None,
        after=proto_memory(change.after, scope) if change.after is not None else None,
        cause=_CAUSES[change.cause],
        former=proto_memory(change.former, scope) if change.former is not None else None,
    )


def proto_commit(commit: Commit, scope: Scope) -> memory_pb2.Commit:
    """Return the message for a commit; one without changes has revision 0."""
    return memory_pb2.Commit(
        revision=commit.revision if commit.changes else 0,
        time=timestamp(commit.time),
        changes=[proto_change(change, scope) for change in commit.changes],
        request_id=commit.request_id,
        actor=commit.actor,
        extraction_id=commit.extraction_id,
    )


class _Targeted(Protocol):
    """A request that names a memory by id or by its place."""

    @property
    def memory_id(self) -> str: ...
    @property
    def address(self) -> memory_pb2.KeyAddress: ...
    def WhichOneof(self, oneof_group: Any) -> str | None: ...  # noqa: N802


def read_target(request: _Targeted, path: str = "") -> Target:
    """Return which memory is meant; `path` is what its fields start with."""
    named = request.WhichOneof("target")
    if named == "memory_id":
        memory_id = request.memory_id
        check_id(f"{path}memory_id", memory_id)
        return Target(memory_id)
    if named == "address":
        address = request.address
        layer = read_enum(f"{path}address.layer", address.layer, LAYERS)
        check_key(f"{path}address.key", address.key)
        return Target("", layer, address.key)
    raise invalid(f"{path}target", "must be set: memory_id or address")
