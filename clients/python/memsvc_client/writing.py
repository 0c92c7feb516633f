"""What a write says about a memory: its fields, which of them it sets, and which memory it means."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypedDict, Unpack

from google.protobuf.field_mask_pb2 import FieldMask

from memsvc.v1 import common_pb2, memory_pb2
from memsvc_client.calls import Subject
from memsvc_client.enums import Layer, Polarity, Trust
from memsvc_client.wire import duration, enum_number, string, string_map, strings, timestamp, to_json


class MemoryFields(TypedDict, total=False):
    """What may be said of a memory besides its text. In an update, None clears a field."""

    value: Any
    """The value at the key: anything that JSON can hold. Without it the text is the value."""
    topics: Iterable[str] | None
    """Short labels."""
    input: str | None
    """The words it came from."""
    trust: Trust | str | None
    """How far to believe it; STATED by default."""
    polarity: Polarity | str | None
    """For the layer FEEDBACK: what worked, or what did not."""
    metadata: Mapping[str, str] | None
    observe_time: datetime | None
    """When it was said; default: now."""
    expire_time: datetime | None
    """When it stops being visible."""
    ttl: float | timedelta | None
    """The same, as seconds (or a timedelta) after the write."""
    valid_from: datetime | None
    """Since when it is so, in the world."""
    valid_to: datetime | None
    """Until when it was so."""


class MemoryUpdate(MemoryFields, total=False):
    """What may be changed of a memory."""

    text: str


_PATHS = {"value": "value_json"}


@dataclass(frozen=True, slots=True)
class Operation:
    """One write of a batch; made by `create`, `update` and `delete`."""

    wire: memory_pb2.BatchWriteOperation

    def for_subject(self, subject: Subject) -> memory_pb2.BatchWriteOperation:
        """Return it for the wire; what it creates, or may create, comes from the subject's agent and team."""
        wire = memory_pb2.BatchWriteOperation()
        wire.CopyFrom(self.wire)
        if wire.HasField("create"):
            set_origin(wire.create.memory, subject)
        elif wire.update.allow_missing:
            set_origin(wire.update.memory, subject)
        return wire


def create(
    text: str,
    *,
    layer: Layer | str | None = None,
    key: str = "",
    memory_id: str = "",
    session_id: str = "",
    **fields: Unpack[MemoryFields],
) -> Operation:
    """Return the creation of a memory for `memories.batch`."""
    memory = new_memory(Subject(), text, layer, key, memory_id, session_id, fields)
    return Operation(memory_pb2.BatchWriteOperation(create=memory_pb2.CreateOperation(memory=memory)))


def update(
    memory_id: str | None = None,
    *,
    layer: Layer | str | None = None,
    key: str | None = None,
    etag: str = "",
    allow_missing: bool = False,
    **fields: Unpack[MemoryUpdate],
) -> Operation:
    """Return the change of a memory, by id or by layer and key, for `memories.batch`."""
    memory, mask = changed_memory(memory_id, layer, key, etag, fields)
    change = memory_pb2.UpdateOperation(memory=memory, update_mask=mask, allow_missing=allow_missing)
    return Operation(memory_pb2.BatchWriteOperation(update=change))


def delete(
    memory_id: str | None = None,
    *,
    layer: Layer | str | None = None,
    key: str | None = None,
    etag: str = "",
    allow_missing: bool = False,
) -> Operation:
    """Return the deletion of a memory, by id or by layer and key, for `memories.batch`."""
    removal = memory_pb2.DeleteOperation(**target(memory_id, layer, key), etag=etag, allow_missing=allow_missing)
    return Operation(memory_pb2.BatchWriteOperation(delete=removal))


def new_memory(
    subject: Subject,
    text: str,
    layer: Layer | str | None,
    key: str,
    memory_id: str,
    session_id: str,
    fields: MemoryFields,
) -> memory_pb2.Memory:
    """Return a memory to create."""
    memory = memory_pb2.Memory(
        memory_id=string("memory_id", memory_id),
        layer=enum_number("layer", Layer, layer),
        key=string("key", key),
        text=string("text", text),
        origin=common_pb2.Origin(session_id=string("session_id", session_id)),
    )
    set_origin(memory, subject)
    _fill(memory, fields)
    return memory


def changed_memory(
    memory_id: str | None, layer: Layer | str | None, key: str | None, etag: str, fields: MemoryUpdate
) -> tuple[memory_pb2.Memory, FieldMask]:
    """Return a memory that holds the new values, and the mask that names them."""
    if not fields:
        raise ValueError("nothing to update: give at least one field")
    where = target(memory_id, layer, key)
    if address := where.get("address"):
        memory = memory_pb2.Memory(layer=address.layer, key=address.key, etag=etag)
    else:
        memory = memory_pb2.Memory(memory_id=where["memory_id"], etag=etag)
    _fill(memory, fields)
    if (text := fields.get("text")) is not None:
        memory.text = string("text", text)
    return memory, FieldMask(paths=[_PATHS.get(name, name) for name in fields])


def set_origin(memory: memory_pb2.Memory, subject: Subject) -> None:
    """Let a memory come from the subject's agent and team."""
    memory.origin.agent_id, memory.origin.team_id = subject.agent_id, subject.team_id


def target(memory_id: str | None, layer: Layer | str | None, key: str | None) -> dict[str, Any]:
    """Return which memory is meant. Raises ValueError unless it is an id, or a layer and key."""
    if memory_id and layer is None and key is None:
        return {"memory_id": string("memory_id", memory_id)}
    if memory_id is None and layer is not None and key:
        return {"address": memory_pb2.KeyAddress(layer=enum_number("layer", Layer, layer), key=string("key", key))}
    raise ValueError("a memory is named by its memory_id, or by layer and key")


def _fill(memory: memory_pb2.Memory, fields: MemoryFields) -> None:
    """Set the fields that are given and not None. Raises TypeError for one that there is not."""
    if unknown := set(fields) - set(MemoryUpdate.__annotations__):
        raise TypeError(f"a memory has no field {', '.join(sorted(unknown))}")
    if fields.get("expire_time") is not None and fields.get("ttl") is not None:
        raise ValueError("expire_time and ttl say the same: give one of them")
    memory.MergeFrom(
        memory_pb2.Memory(
            value_json=to_json("value", fields["value"]) if fields.get("value") is not None else "",
            topics=strings("topics", fields.get("topics")),
            input=string("input", fields.get("input") or ""),
            trust=enum_number("trust", Trust, fields.get("trust")),
            polarity=enum_number("polarity", Polarity, fields.get("polarity")),
            metadata=string_map("metadata", fields.get("metadata")),
            observe_time=timestamp(fields.get("observe_time"), "observe_time"),
            expire_time=timestamp(fields.get("expire_time"), "expire_time"),
            ttl=duration(fields.get("ttl"), "ttl"),
            valid_from=timestamp(fields.get("valid_from"), "valid_from"),
            valid_to=timestamp(fields.get("valid_to"), "valid_to"),
        )
    )
