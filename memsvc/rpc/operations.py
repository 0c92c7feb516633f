"""Writes of memories, from their messages: create, update with its mask, delete."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final, Protocol

from google.protobuf.field_mask_pb2 import FieldMask
from msgspec.structs import replace

from memsvc.errors import invalid
from memsvc.ids import new_id
from memsvc.limits import BATCH_OPERATIONS, check_fields, check_id, check_memory
from memsvc.memories.restoring import BringBack, Restoring, Revert
from memsvc.memories.writing import UPDATABLE, Create, Delete, Guard, Operation, Target, Update
from memsvc.rpc.fields import check_not_negative, read_request
from memsvc.rpc.memories import read_memory, read_target
from memsvc.v1 import memory_pb2

_EXPIRATION: Final = ("expire_time", "ttl")
_FIXED: Final = frozenset(("memory_id", "layer", "key", "origin"))
_OUTPUT_ONLY: Final = frozenset(
    ("number", "scope", "create_time", "update_time", "etag", "config_revision", "superseded", "successor_id")
)


class _Creating(Protocol):
    @property
    def memory(self) -> memory_pb2.Memory: ...


class _Updating(_Creating, Protocol):
    @property
    def update_mask(self) -> FieldMask: ...
    @property
    def allow_missing(self) -> bool: ...


class _Deleting(Protocol):
    @property
    def memory_id(self) -> str: ...
    @property
    def address(self) -> memory_pb2.KeyAddress: ...
    def WhichOneof(self, oneof_group: Any) -> str | None: ...  # noqa: N802
    @property
    def etag(self) -> str: ...
    @property
    def allow_missing(self) -> bool: ...


class _Guarded(Protocol):
    DESCRIPTOR: Any

    @property
    def request_id(self) -> str: ...
    @property
    def expected_revision(self) -> int: ...
    def HasField(self, field_name: Any) -> bool: ...  # noqa: N802
    def SerializeToString(self, *, deterministic: bool = ...) -> bytes: ...  # noqa: N802


def read_guard(request: _Guarded) -> Guard:
    """Return what makes a write safe."""
    expected = None
    if request.HasField("expected_revision"):
        expected = check_not_negative("expected_revision", request.expected_revision)
    return Guard(read_request(request), expected)


def read_create(request: _Creating, path: str = "", *, merges: bool = False) -> Create:
    """Return the create; `path` is what its fields start with."""
    memory = read_memory(request.memory, f"{path}memory")
    check_memory(memory, f"{path}memory")
    if memory.memory_id:
        return Create(memory)
    return Create(replace(memory, memory_id=new_id()), merges=merges and not memory.key)


def read_update(request: _Updating, path: str = "") -> Update:
    """Return the update; what depends on the memory as it is stored is checked when it is decided."""
    memory = read_memory(request.memory, f"{path}memory")
    fields = _read_mask(request.update_mask.paths, f"{path}update_mask")
    check_fields(memory, f"{path}memory", text_required="text" in fields)
    if not memory.memory_id and not memory.key:
        raise invalid(f"{path}memory.memory_id", "must be set, or layer and key")
    if not memory.memory_id and not request.memory.layer:
        raise invalid(f"{path}memory.layer", "must be set with a key")
    etag = request.memory.etag
    check_id(f"{path}memory.etag", etag, required=False)
    if not memory.memory_id:
        target = Target("", memory.layer, memory.key)
        return Update(target, replace(memory, memory_id=new_id()), fields, etag, request.allow_missing)
    given = (memory.layer if request.memory.layer else None, memory.key)
    return Update(Target(memory.memory_id), memory, fields, etag, request.allow_missing, given)


def _read_mask(paths: Sequence[str], field: str) -> frozenset[str]:
    """Return the fields that an update sets."""
    if not paths:
        raise invalid(field, "must not be empty")
    if "*" in paths:
        if len(paths) > 1:
            raise invalid(field, '"*" must be alone')
        return UPDATABLE
    fields = set()
    for index, name in enumerate(paths):
        if name in _FIXED:
            raise invalid(f"{field}.paths[{index}]", f"{name} is fixed")
        if name in _OUTPUT_ONLY:
            raise invalid(f"{field}.paths[{index}]", f"{name} is output only")
        chosen = "expire_time" if name in _EXPIRATION else name
        if chosen not in UPDATABLE:
            raise invalid(f"{field}.paths[{index}]", _not_a_field(name))
        fields.add(chosen)
    return frozenset(fields)


def _not_a_field(name: str) -> str:
    """Return what is wrong with a path; who writes JSON may take its names for those of masks."""
    in_snake_case = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()
    if in_snake_case in UPDATABLE or in_snake_case in _EXPIRATION:
        return f"is named {in_snake_case} here"
    return "is not a field of a memory"


def read_delete(request: _Deleting, path: str = "") -> Delete:
    """Return the delete."""
    target = read_target(request, path)
    check_id(f"{path}etag", request.etag, required=False)
    return Delete(target, request.etag, request.allow_missing)


def read_restoring(request: memory_pb2.RestoreMemoriesRequest) -> Restoring:
    """Return what a restore is about."""
    memory_ids = request.memory_ids
    target = request.WhichOneof("target")
    if target is None:
        raise invalid("target", "must be set: revert_revision or to_revision")
    revision = check_not_negative(target, getattr(request, target))
    if target == "revert_revision":
        for name in ("memory_ids", "all"):
            if getattr(request, name):
                raise invalid(name, "must not be set with revert_revision")
        return Revert(revision)
    if request.all and memory_ids:
        raise invalid("memory_ids", "must be empty with all")
    if not request.all and not memory_ids:
        raise invalid("memory_ids", "must not be empty without all")
    if len(memory_ids) > BATCH_OPERATIONS:
        raise invalid("memory_ids", f"must be at most {BATCH_OPERATIONS}")
    for index, memory_id in enumerate(memory_ids):
        check_id(f"memory_ids[{index}]", memory_id)
    return BringBack(revision, tuple(dict.fromkeys(memory_ids)))


def read_operations(operations: Sequence[memory_pb2.BatchWriteOperation]) -> list[Operation]:
    """Return the operations of a batch."""
    if not operations:
        raise invalid("operations", "must not be empty")
    if len(operations) > BATCH_OPERATIONS:
        raise invalid("operations", f"must be at most {BATCH_OPERATIONS}")
    return [_read_operation(operation, f"operations[{index}]") for index, operation in enumerate(operations)]


def _read_operation(operation: memory_pb2.BatchWriteOperation, path: str) -> Operation:
    kind = operation.WhichOneof("operation")
    if kind == "create":
        return read_create(operation.create, f"{path}.create.")
    if kind == "update":
        return read_update(operation.update, f"{path}.update.")
    if kind == "delete":
        return read_delete(operation.delete, f"{path}.delete.")
    raise invalid(f"{path}.operation", "must be set: create, update or delete")
