"""One tree of errors. Each has a reason from one documented enum, a status code and the fields that it is about.

Error
├── InvalidArgument      a field of the request is wrong: names it
├── NotFound             what was named does not exist
├── AlreadyExists        the id or key is taken: names the holder
├── FailedPrecondition   the state does not allow it, now or ever
│   └── SchemaMismatch   the database's schema is of another version
├── Aborted              an etag or expected revision is stale, or writers collided too often: read again and retry
├── OutOfRange           a token points before what is kept
├── ResourceExhausted    a quota or size limit
├── Unavailable          the model does not answer, the server drains or has too much to do: retry after a while
│   └── StorageUnavailable   the database does not answer, or cannot write
├── Unauthenticated      the server asks who calls, and does not know this caller
├── PermissionDenied     the caller may not do that; says nothing of what there is
├── Unimplemented        this server does not offer it
├── DataLoss             stored data cannot be read
└── Internal             a defect of memsvc
ExtractionError          why an extraction attempt did not finish: data of the extraction, not a status
├── Retryable            try again later (model down, hung, limited)
├── Unusable             the model answered, but not usably
└── Permanent            no retry will help (refused, wrong credentials)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from memsvc.model import Usage
from memsvc.v1.reasons import Reason as Reason


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """One wrong field of a request: its path as in the proto, and what it must be."""

    field: str
    description: str


@dataclass(eq=False)
class Error(Exception):
    """An error with a status. `message` is for people and holds no internal detail."""

    code: ClassVar[str] = "UNKNOWN"

    reason: Reason
    message: str
    fields: Sequence[FieldViolation] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)
    retry_after_seconds: float = 0.0

    def __str__(self) -> str:
        return self.message


class InvalidArgument(Error):
    code = "INVALID_ARGUMENT"


class NotFound(Error):
    code = "NOT_FOUND"


class AlreadyExists(Error):
    code = "ALREADY_EXISTS"


class FailedPrecondition(Error):
    code = "FAILED_PRECONDITION"


class SchemaMismatch(FailedPrecondition):
    """The database's schema is older (run `memsvc migrate`) or newer (run a newer memsvc) than this driver."""

    def __init__(self, message: str) -> None:
        super().__init__(Reason.SCHEMA_MISMATCH, message)


class Aborted(Error):
    code = "ABORTED"


class OutOfRange(Error):
    code = "OUT_OF_RANGE"


class ResourceExhausted(Error):
    code = "RESOURCE_EXHAUSTED"


class Unavailable(Error):
    code = "UNAVAILABLE"


class StorageUnavailable(Unavailable):
    """The database does not answer, is full or read-only, or the driver is closed. What was sent may be applied."""

    def __init__(self, message: str, reason: Reason = Reason.STORAGE_UNAVAILABLE) -> None:
        super().__init__(reason, message, retry_after_seconds=1.0)


class Unauthenticated(Error):
    code = "UNAUTHENTICATED"


class PermissionDenied(Error):
    code = "PERMISSION_DENIED"


class Unimplemented(Error):
    code = "UNIMPLEMENTED"


class DataLoss(Error):
    code = "DATA_LOSS"


class Internal(Error):
    code = "INTERNAL"


def invalid(field_path: str, description: str, reason: Reason = Reason.INVALID_FIELD) -> InvalidArgument:
    """Return the error for one wrong field."""
    return InvalidArgument(reason, f"{field_path}: {description}", (FieldViolation(field_path, description),))


@dataclass(eq=False)
class ExtractionError(Exception):
    """Why an attempt at an extraction did not finish. `detail` is for people and holds no conversation text."""

    reason: Reason
    detail: str
    usage: Usage = field(default_factory=Usage)
    """What the attempt cost all the same."""
    endpoint_message: str = field(default="", repr=False)
    """What the endpoint said of it, for an operator who asks: it may repeat key and prompt, and is never logged."""

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}"


@dataclass(eq=False)
class Retryable(ExtractionError):
    """Worth another try; `retry_after_seconds` is the endpoint's own wish (Retry-After), 0: none."""

    retry_after_seconds: float = 0.0
    counts: bool = True
    """Whether the try counts against `max_attempts`: a 429 or an unreachable model does not."""


class Unusable(ExtractionError):
    """The model answered, but not usably, even after repair. Counts an attempt."""


class Permanent(ExtractionError):
    """No retry will help. The extraction fails aloud and can be retried by hand."""


def forget_frames(error: BaseException | None) -> None:
    """Let go of the frames that an error, its causes and what they were raised beside have come through.

    They hold the request or the prompt, and often the error itself: then only the collector would free all that.
    """
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        error.__traceback__ = None
        error = error.__cause__ or error.__context__
