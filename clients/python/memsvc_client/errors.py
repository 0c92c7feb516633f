"""One tree of errors: each carries the server's reason, its message and the fields that it is about.

MemoryServiceError
├── InvalidArgument      a field of the request is wrong: `fields` names it
├── NotFound             what was named does not exist
├── AlreadyExists        the id or key is taken
├── FailedPrecondition   the state does not allow it
│   └── ClientMisused        the client is closed, or belongs to another event loop or process
├── Aborted              an etag or expected revision is stale: read again and retry
├── OutOfRange           a token points before what is kept
├── ResourceExhausted    a quota or size limit
├── Unavailable          the server, its database or its model does not answer: retry after a while
│   └── SidecarFailed    `MemoryClient.local` could not start its server: the message has the end of its log
├── DeadlineExceeded     the call's deadline passed; a write may have happened
├── PermissionDenied     the token may not do that
├── Unauthenticated      the token is missing or wrong
├── Unimplemented        this server does not offer it
├── Cancelled            the call was cancelled
├── DataLoss             stored data cannot be read
├── Internal             a defect of the server
├── Unknown              a status of another kind
└── ExtractionFailed     learning ended without effect: FAILED or CANCELLED
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import grpc
from google.protobuf.message import DecodeError, Message
from google.rpc import error_details_pb2, status_pb2  # type: ignore[import-untyped]

from memsvc.v1.reasons import Reason
from memsvc_client.enums import ExtractionState

DETAILS_KEY = "grpc-status-details-bin"


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """One wrong field of a request: its path as in the proto, and what it must be."""

    field: str
    description: str


@dataclass(eq=False)
class MemoryServiceError(Exception):
    """A call did not succeed."""

    code: ClassVar[grpc.StatusCode] = grpc.StatusCode.UNKNOWN

    message: str
    reason: str = ""
    """Why, in one word that programs can switch on: `Reason.KEY_TAKEN`. Empty where the transport failed, not the
    server; a newer server may send one that `Reason` does not have yet."""
    fields: tuple[FieldViolation, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)
    """More about the reason, for example the id of the memory that holds a key."""
    retry_after: float | None = None
    """Seconds after which the server suggests to try again; None: it suggests nothing."""

    def __str__(self) -> str:
        name = self.reason or self.code.name
        return f"{name}: {self.message}" if self.message else name


class InvalidArgument(MemoryServiceError):
    code = grpc.StatusCode.INVALID_ARGUMENT


class NotFound(MemoryServiceError):
    code = grpc.StatusCode.NOT_FOUND


class AlreadyExists(MemoryServiceError):
    code = grpc.StatusCode.ALREADY_EXISTS


class FailedPrecondition(MemoryServiceError):
    code = grpc.StatusCode.FAILED_PRECONDITION


class Aborted(MemoryServiceError):
    code = grpc.StatusCode.ABORTED


class OutOfRange(MemoryServiceError):
    code = grpc.StatusCode.OUT_OF_RANGE


class ResourceExhausted(MemoryServiceError):
    code = grpc.StatusCode.RESOURCE_EXHAUSTED


class Unavailable(MemoryServiceError):
    code = grpc.StatusCode.UNAVAILABLE


class DeadlineExceeded(MemoryServiceError):
    code = grpc.StatusCode.DEADLINE_EXCEEDED


class PermissionDenied(MemoryServiceError):
    code = grpc.StatusCode.PERMISSION_DENIED


class Unauthenticated(MemoryServiceError):
    code = grpc.StatusCode.UNAUTHENTICATED


class Unimplemented(MemoryServiceError):
    code = grpc.StatusCode.UNIMPLEMENTED


class Cancelled(MemoryServiceError):
    code = grpc.StatusCode.CANCELLED


class DataLoss(MemoryServiceError):
    code = grpc.StatusCode.DATA_LOSS


class Internal(MemoryServiceError):
    code = grpc.StatusCode.INTERNAL


class Unknown(MemoryServiceError):
    code = grpc.StatusCode.UNKNOWN


_BY_CODE = {kind.code: kind for kind in MemoryServiceError.__subclasses__()}


class ClientMisused(FailedPrecondition):
    """The client cannot be used any more, or not from here: CLIENT_CLOSED, OTHER_EVENT_LOOP or OTHER_PROCESS."""


class SidecarFailed(Unavailable):
    """A sidecar of one's own could not be started."""


@dataclass(eq=False)
class ExtractionFailed(MemoryServiceError):
    """Learning ended without effect. `reason` says why: MODEL_REFUSED, CANCELLED_BY_REQUEST, ..."""

    extraction_id: str = ""
    state: ExtractionState = ExtractionState.FAILED


_NOT_TAKEN = "CANCELLED"
"""What is said of calls that a server had not taken yet as it stopped; where the caller cancels, it is told so."""


def error_from_status(code: grpc.StatusCode, message: str, trailers: Iterable[Any] | None) -> MemoryServiceError:
    """Return the typed error for a status and its trailing metadata (`google.rpc.Status` in the details key)."""
    info, request, retry = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest(), error_details_pb2.RetryInfo()
    found = _unpack(trailers, (info, request, retry))
    if code is grpc.StatusCode.CANCELLED and message == _NOT_TAKEN:
        return Unavailable("the server stopped before it took the call")
    return _BY_CODE.get(code, Unknown)(
        message=message,
        reason=info.reason,
        fields=tuple(FieldViolation(each.field, each.description) for each in request.field_violations),
        metadata=dict(info.metadata),
        retry_after=retry.retry_delay.ToTimedelta().total_seconds() if retry in found else None,
    )


def service_is_down(failure: MemoryServiceError) -> bool:
    """Tell whether a failure is the service's or the network's, not the caller's; or a limit that is over by itself."""
    return isinstance(failure, (Unavailable, DeadlineExceeded, Internal, DataLoss, Unknown)) or (
        failure.reason in (Reason.LIMIT_REACHED, Reason.BUDGET_EXHAUSTED)
    )


def server_is_gone(failure: MemoryServiceError) -> bool:
    """Tell whether nobody answers there, or only to say goodbye; not so where a server answers without its database."""
    return isinstance(failure, Unavailable) and failure.reason in ("", Reason.SERVER_DRAINING)


def still_starting() -> SidecarFailed:
    """Return the failure of a call whose time is over before its sidecar is there."""
    return SidecarFailed("the server is not ready yet; its start goes on", reason="SIDECAR_FAILED")


def _unpack(trailers: Iterable[Any] | None, wanted: tuple[Message, ...]) -> list[Message]:
    """Fill those of `wanted` that the trailers hold, and return them. Details that cannot be read are left aside."""
    found: list[Message] = []
    try:
        for key, value in trailers or ():
            if key == DETAILS_KEY:
                details = status_pb2.Status.FromString(value).details
                found += [message for detail in details for message in wanted if detail.Unpack(message)]
    except DecodeError:
        pass
    return found
