"""Records of exports and imports, from and to their messages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp
from msgspec.structs import replace

from memsvc.administration import Export, Outcome
from memsvc.administration.importing import Record
from memsvc.errors import invalid
from memsvc.ids import new_id
from memsvc.limits import BATCH_OPERATIONS, check_id, check_memory
from memsvc.model import ImportMode, ImportResult, LearningState, Memory, Origin, Scope, Trust
from memsvc.rpc.fields import inverted, read_enum, read_time
from memsvc.rpc.memories import proto_memory, read_memory
from memsvc.rpc.messages import LEARNING_NUMBERS, proto_run, read_run
from memsvc.sessions.importing import GivenRun
from memsvc.v1 import admin_pb2, common_pb2, memory_pb2, session_pb2

MAX_NUMBER: Final = 2**53
"""Numbers and indexes go on from the highest that was imported: here there is room, and JSON holds them."""

IMPORT_MODES: Final[Mapping[int, ImportMode]] = {
    admin_pb2.IMPORT_MODE_FAIL: ImportMode.FAIL,
    admin_pb2.IMPORT_MODE_SKIP: ImportMode.SKIP,
    admin_pb2.IMPORT_MODE_OVERWRITE: ImportMode.OVERWRITE,
}
_RESULTS: Final = {
    ImportResult.CREATED: admin_pb2.IMPORT_RESULT_CREATED,
    ImportResult.SKIPPED: admin_pb2.IMPORT_RESULT_SKIPPED,
    ImportResult.OVERWRITTEN: admin_pb2.IMPORT_RESULT_OVERWRITTEN,
}
_LEARNINGS: Final[Mapping[int, LearningState]] = inverted(LEARNING_NUMBERS)


def proto_records(page: Export, scope: Scope) -> list[admin_pb2.ExportRecord]:
    """Return the messages for a page of an export."""
    records = [admin_pb2.ExportRecord(memory=proto_memory(memory, scope)) for memory in page.memories]
    records += [admin_pb2.ExportRecord(run=proto_run(run, learning)) for run, learning in page.runs]
    return records


def proto_outcome(outcome: Outcome) -> admin_pb2.ImportOutcome:
    """Return the message for what became of a record."""
    return admin_pb2.ImportOutcome(
        result=_RESULTS[outcome.result],
        memory_id=outcome.memory_id,
        number=outcome.number,
        run_id=outcome.run_id,
        index=outcome.index,
    )


def read_records(records: Sequence[admin_pb2.ExportRecord]) -> Sequence[Record]:
    """Return the records of an import; those without an id are given one."""
    if not records:
        raise invalid("records", "must not be empty")
    if len(records) > BATCH_OPERATIONS:
        raise invalid("records", f"must be at most {BATCH_OPERATIONS}")
    seen: dict[object, int] = {}
    return [_read_record(record, place, seen) for place, record in enumerate(records)]


def _read_record(record: admin_pb2.ExportRecord, place: int, seen: dict[object, int]) -> Record:
    kind = record.WhichOneof("record")
    path = f"records[{place}].{kind}"
    if kind == "memory":
        memory = _read_memory(record.memory, path)
        _check_first(f"{path}.memory_id", ("memory", memory.memory_id), place, seen)
        if memory.key and not memory.superseded:
            _check_first(f"{path}.key", (memory.layer, memory.key), place, seen)
        return memory
    if kind == "run":
        run = _read_run(record.run, path, place)
        _check_first(f"{path}.run_id", ("run", run.run.run_id), place, seen)
        return run
    raise invalid(f"records[{place}].record", "must be set: memory or run")


def _check_first(path: str, name: object, place: int, seen: dict[object, int]) -> None:
    first = seen.setdefault(name, place)
    if first != place:
        raise invalid(path, f"must not be that of records[{first}]")


def _read_memory(given: memory_pb2.Memory, path: str) -> Memory:
    memory = replace(
        read_memory(given, path),
        memory_id=given.memory_id or new_id(),
        number=_read_number(f"{path}.number", given.number),
        create_time=_read_time(f"{path}.create_time", given, given.create_time),
        update_time=_read_time(f"{path}.update_time", given, given.update_time),
        origin=_read_origin(given.origin, f"{path}.origin"),
        superseded=given.superseded,
        successor_id=given.successor_id,
    )
    check_id(f"{path}.successor_id", given.successor_id, required=False)
    if given.successor_id and not given.superseded:
        raise invalid(f"{path}.successor_id", "is of a fact of the past: superseded must be true")
    if given.trust == common_pb2.TRUST_UNSPECIFIED:
        memory = replace(memory, trust=Trust.IMPORTED)
    check_memory(memory, path)
    return memory


def _read_origin(origin: common_pb2.Origin, path: str) -> Origin:
    """Return an origin with what is otherwise output only."""
    values = {name: getattr(origin, name) for name in Origin.__struct_fields__}
    for name, value in values.items():
        check_id(f"{path}.{name}", value, required=False)
    return Origin(**values)


def _read_run(given: session_pb2.Run, path: str, place: int) -> GivenRun:
    run, size_bytes = read_run(given, path)
    check_id(f"{path}.extraction_id", given.extraction_id, required=False)
    run = replace(
        run,
        run_id=run.run_id or new_id(),
        index=_read_number(f"{path}.index", given.index),
        create_time=_read_time(f"{path}.create_time", given, given.create_time),
        extraction_id=given.extraction_id,
        observed_number=_read_number(f"{path}.observed_number", given.observed_number),
    )
    learning = read_enum(f"{path}.learning", given.learning, _LEARNINGS, LearningState.OFF)
    return GivenRun(place, run, size_bytes, learning)


def _read_number(path: str, number: int) -> int:
    if not 0 <= number <= MAX_NUMBER:
        raise invalid(path, f"must be from 0 to {MAX_NUMBER}")
    return number


def _read_time(path: str, message: memory_pb2.Memory | session_pb2.Run, time: Timestamp) -> int:
    name = path.rpartition(".")[2]
    return read_time(path, time) if message.HasField(name) else 0  # type: ignore[arg-type]
