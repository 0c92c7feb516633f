"""Calls that move users out and in, and that erase a namespace: `user.export`, `user.import_records`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Self, TypeAlias

from google.protobuf import json_format

from memsvc.v1 import admin_pb2
from memsvc.v1.reasons import Reason
from memsvc_client import rpcs
from memsvc_client.calls import Call, Pages, Steps, Subject, call, pages
from memsvc_client.enums import ImportMode, ImportResult
from memsvc_client.errors import FieldViolation, MemoryServiceError, ResourceExhausted
from memsvc_client.memory import Memory, memory_of
from memsvc_client.session_calls import Run, run_of
from memsvc_client.shown import Shown
from memsvc_client.wire import enum_member, enum_number, request_id_or_new, string

CALL_RECORDS = 500
CALL_BYTES = 1 << 20
"""A call imports at most so many records, and so much of them unless it is one: what they replace needs room too."""


@dataclass(frozen=True, slots=True, repr=False)
class ExportRecord(Shown):
    """One thing of a user, as it is stored: a memory or a run."""

    memory: Memory | None
    run: Run | None
    wire: admin_pb2.ExportRecord = field(repr=False, compare=False)
    """All of it, as the service gave it."""

    def to_dict(self) -> dict[str, Any]:
        """Return the record as what JSON can hold, with the names of the protos."""
        return json_format.MessageToDict(self.wire, preserving_proto_field_name=True)

    def to_json(self) -> str:
        """Return the record as one line of JSON."""
        return json.dumps(self.to_dict(), ensure_ascii=False)

    @classmethod
    def from_json(cls, given: str | Mapping[str, Any]) -> Self:
        """Read what `to_json` gave, or `{"memory": {"text": "Skis"}}`. Raises ValueError that says what is wrong."""
        wire = admin_pb2.ExportRecord()
        try:
            read = json.loads(string("record", given)) if isinstance(given, str) else given
            if not isinstance(read, Mapping):
                raise ValueError("must be a JSON object")
            json_format.ParseDict(dict(read), wire)
        except RecursionError:
            raise ValueError("is nested too deeply") from None
        except json.JSONDecodeError as error:
            raise ValueError(f"is no JSON: {error}") from None
        except (json_format.ParseError, UnicodeError) as error:
            raise ValueError(f"is no record: {error}") from None
        if wire.WhichOneof("record") is None:
            raise ValueError("must have a memory or a run")
        return cls.of(wire)

    @classmethod
    def of(cls, wire: admin_pb2.ExportRecord) -> Self:
        """Read one record."""
        if wire.WhichOneof("record") == "memory":
            return cls(memory_of(wire.memory), None, wire)
        return cls(None, run_of(wire.run) if wire.HasField("run") else None, wire)


@dataclass(frozen=True, slots=True, repr=False)
class ExportPage(Shown):
    """A part of an export."""

    records: tuple[ExportRecord, ...]
    next_page_token: str
    """Empty: this was the last."""
    revision: int
    memory_count: int
    """Of all pages; only on the first."""
    run_count: int
    """Of all pages at most; only on the first."""


RecordLike: TypeAlias = ExportRecord | Mapping[str, Any] | str
"""A record, or its JSON."""


@dataclass(frozen=True, slots=True, repr=False)
class ImportOutcome(Shown):
    """What became of a record."""

    result: ImportResult
    memory_id: str = ""
    """Of a skipped memory the id of what is there. Empty: it is a run."""
    number: int = 0
    run_id: str = ""
    index: int = 0


@dataclass(frozen=True, slots=True, repr=False)
class Imported(Shown):
    """What an import did, so far while it is shown as progress."""

    created_count: int = 0
    skipped_count: int = 0
    overwritten_count: int = 0
    outcomes: tuple[ImportOutcome, ...] = ()
    """One for each record, in their order."""
    revision: int = 0


@dataclass(frozen=True, slots=True, repr=False)
class ErasedNamespace(Shown):
    """What was erased with a namespace, so far while it is shown as progress."""

    erased_user_count: int = 0
    erased_memory_count: int = 0
    erased_run_count: int = 0


def export(subject: Subject, *, page_size: int = 0, timeout: float | None = None) -> Pages[ExportRecord]:
    """Iterate over all memories and runs of the user, as they were at the first of them."""
    request = admin_pb2.ExportUserRequest(scope=subject.scope, page_size=page_size)
    return pages(rpcs.EXPORT_USER, request, lambda reply: list(map(ExportRecord.of, reply.records)), timeout)


def export_page(
    subject: Subject, *, page_token: str = "", page_size: int = 0, timeout: float | None = None
) -> Call[ExportPage]:
    """Return a part of an export, the first or the one that a token names: an export can be taken up by its token.

    Raises OutOfRange where what the first page saw can no longer be read: begin anew.
    """
    request = admin_pb2.ExportUserRequest(scope=subject.scope, page_token=page_token, page_size=page_size)
    return call(
        rpcs.EXPORT_USER,
        request,
        lambda reply: ExportPage(
            tuple(map(ExportRecord.of, reply.records)),
            reply.next_page_token,
            reply.revision,
            reply.memory_count,
            reply.run_count,
        ),
        timeout,
    )


def import_records(
    subject: Subject,
    records: Iterable[RecordLike],
    *,
    mode: ImportMode | str = ImportMode.FAIL,
    progress: Callable[[Imported], object] | None = None,
    request_id: str | None = None,
    timeout: float | None = None,
) -> Steps[Imported]:
    """Import what `export` gave, of this user or another, or JSON of that form; ids, numbers and times are kept.

    Many records go in several calls, of at most 500 each; each call imports all of its memories or none. `progress` is
    told after each, `timeout` is for each. A `request_id` is for records that fit one call: more is a ValueError.
    """
    given = [_record(index, each) for index, each in enumerate(records)]
    return ImportSteps(subject, given, enum_number("mode", ImportMode, mode), progress, request_id, timeout)


def erase_namespace(
    subject: Subject,
    namespace: str,
    *,
    confirm_namespace: str,
    progress: Callable[[ErasedNamespace], object] | None = None,
    timeout: float | None = None,
) -> Steps[ErasedNamespace]:
    """Erase every user of a namespace, and its configuration; its name is given twice. Safe to repeat.

    `progress` is told every few seconds; `timeout` is for each call.
    """
    return EraseSteps(namespace, confirm_namespace, progress, timeout)


class ImportSteps(Steps[Imported]):
    """Sends records a few hundred at a time; fewer where a commit would be too large."""

    def __init__(
        self,
        subject: Subject,
        records: list[admin_pb2.ExportRecord],
        mode: Any,
        progress: Callable[[Imported], object] | None,
        request_id: str | None,
        timeout: float | None,
    ) -> None:
        self._subject = subject
        self._mode = mode
        self._progress = progress
        self._timeout = timeout
        self._request_id = request_id
        self._waiting = list(_chunks(records))
        self._waiting.reverse()
        self._sent: list[admin_pb2.ExportRecord] = []
        self._outcomes: list[ImportOutcome] = []
        self._revision = 0
        if request_id is not None and len(self._waiting) > 1:
            raise ValueError(f"request_id is for one call, and {len(records)} records are {len(self._waiting)} calls")

    def next_call(self) -> Call[Any] | None:
        if not self._waiting:
            return None
        self._sent = self._waiting.pop()
        request = admin_pb2.ImportMemoriesRequest(
            scope=self._subject.scope,
            records=self._sent,
            mode=self._mode,
            request_id=request_id_or_new(self._request_id),
        )
        return call(rpcs.IMPORT_MEMORIES, request, lambda reply: reply, self._timeout)

    def take(self, answer: admin_pb2.ImportMemoriesResponse) -> None:
        self._revision = answer.revision
        self._outcomes += [
            ImportOutcome(enum_member(ImportResult, each.result), each.memory_id, each.number, each.run_id, each.index)
            for each in answer.outcomes
        ]
        if self._progress is not None:
            self._progress(self.result())

    def recovers(self, failure: MemoryServiceError) -> bool:
        too_large = isinstance(failure, ResourceExhausted) and failure.reason == Reason.REQUEST_TOO_LARGE
        if too_large and len(self._sent) > 1 and self._request_id is None:
            half = len(self._sent) // 2
            self._waiting += [self._sent[half:], self._sent[:half]]
            return True
        # Which of all records it is, rather than which of a call's.
        failure.fields = tuple(FieldViolation(self._renamed(each.field), each.description) for each in failure.fields)
        return False

    def _renamed(self, path: str) -> str:
        before, _, rest = path.partition("]")
        name, _, number = before.partition("[")
        if name != "records" or not number.isdigit():
            return path
        return f"records[{len(self._outcomes) + int(number)}]{rest}"

    def result(self) -> Imported:
        results = [each.result for each in self._outcomes]
        return Imported(
            results.count(ImportResult.CREATED),
            results.count(ImportResult.SKIPPED),
            results.count(ImportResult.OVERWRITTEN),
            tuple(self._outcomes),
            self._revision,
        )


class EraseSteps(Steps[ErasedNamespace]):
    """Erases a part of a namespace at a time."""

    def __init__(
        self,
        namespace: str,
        confirm_namespace: str,
        progress: Callable[[ErasedNamespace], object] | None,
        timeout: float | None,
    ) -> None:
        self._request = admin_pb2.EraseNamespaceRequest(namespace=namespace, confirm_namespace=confirm_namespace)
        self._progress = progress
        self._timeout = timeout
        self._more = True
        self._erased = ErasedNamespace()

    def next_call(self) -> Call[Any] | None:
        if not self._more:
            return None
        return call(rpcs.ERASE_NAMESPACE, self._request, lambda reply: reply, self._timeout)

    def take(self, answer: admin_pb2.EraseNamespaceResponse) -> None:
        self._request.page_token = answer.next_page_token
        self._more = bool(answer.next_page_token)
        self._erased = ErasedNamespace(
            self._erased.erased_user_count + answer.erased_user_count,
            self._erased.erased_memory_count + answer.erased_memory_count,
            self._erased.erased_run_count + answer.erased_run_count,
        )
        if self._progress is not None:
            self._progress(self._erased)

    def result(self) -> ErasedNamespace:
        return self._erased


def _record(index: int, given: RecordLike) -> admin_pb2.ExportRecord:
    if isinstance(given, ExportRecord):
        return given.wire
    if not isinstance(given, (str, Mapping)):
        raise TypeError(f"records[{index}] must be an ExportRecord or its JSON, not {given!r:.80}")
    try:
        return ExportRecord.from_json(given).wire
    except ValueError as error:
        raise ValueError(f"records[{index}] {error}") from None


def _chunks(records: Iterable[admin_pb2.ExportRecord]) -> Iterator[list[admin_pb2.ExportRecord]]:
    chunk: list[admin_pb2.ExportRecord] = []
    size = 0
    for record in records:
        length = record.ByteSize()
        if chunk and (len(chunk) == CALL_RECORDS or size + length > CALL_BYTES):
            yield chunk
            chunk, size = [], 0
        chunk.append(record)
        size += length
    if chunk:
        yield chunk
