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
├── Unimplemented        this server does not offer it
├── DataLoss             stored data cannot be read
└── Internal             a defect of memsvc
ExtractionError          why an extraction attempt did not finish: data of the extraction, not a status
├── Retryable            try again later (model down, hung, limited)
├── Unusable             the model answered, but not usably
└── Permanent            no retry will help (refused, wrong credentials)
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from memsvc.model import Usage


class Reason(enum.StrEnum):
    """Why, in one word that programs can switch on (`google.rpc.ErrorInfo.reason`)."""

    INVALID_FIELD = "INVALID_FIELD"
    """A field is missing, too long or malformed: `memory.text: must not be empty`."""
    PAGE_TOKEN_MISMATCH = "PAGE_TOKEN_MISMATCH"  # noqa: S105
    """A page token of another request or scope: `page_token: belongs to another request`."""
    REQUEST_ID_REUSED = "REQUEST_ID_REUSED"
    """The request id was used for another request: `request_id: was used for another CreateMemory`."""
    MEMORY_NOT_FOUND = "MEMORY_NOT_FOUND"
    """No memory has this id or key: `no memory 0192…`."""
    SESSION_NOT_FOUND = "SESSION_NOT_FOUND"
    """No session has this id: `no session s1`."""
    RUN_NOT_FOUND = "RUN_NOT_FOUND"
    """No run has this id: `no run r1`."""
    EXTRACTION_NOT_FOUND = "EXTRACTION_NOT_FOUND"
    """No extraction has this id: `no extraction 0192…`."""
    MEMORY_EXISTS = "MEMORY_EXISTS"
    """The memory id is taken: `memory 0192… exists`."""
    KEY_TAKEN = "KEY_TAKEN"
    """The key is taken in this layer: `profile key role is held by memory 0192…`."""
    RUN_EXISTS = "RUN_EXISTS"
    """The run id is taken: `run r1 exists`."""
    KEY_CONFLICT = "KEY_CONFLICT"
    """A key would be both a leaf and a branch: `stack is a leaf, stack.languages needs a branch`."""
    ETAG_MISMATCH = "ETAG_MISMATCH"
    """The memory changed since it was read: `memory 0192… is at etag 7-3f2a`."""
    REVISION_MISMATCH = "REVISION_MISMATCH"
    """The user changed since it was read: `user is at revision 7, expected 5`."""
    TOO_MANY_CONFLICTS = "TOO_MANY_CONFLICTS"
    """Other writers of this user kept winning: `gave up after 32 tries`."""
    REVISION_NOT_REACHED = "REVISION_NOT_REACHED"
    """`at_least_revision` is ahead of what exists: `user is at revision 7, asked for 9`."""
    QUOTA_EXCEEDED = "QUOTA_EXCEEDED"
    """The user is full: `user has 10000 of 10000 memories`."""
    TOO_MANY_EXTRACTIONS = "TOO_MANY_EXTRACTIONS"
    """So many extractions of the user have not ended that no more are accepted: metadata `limit`."""
    RESULT_TOO_LARGE = "RESULT_TOO_LARGE"
    """The reply would pass 3 MiB: `document is 3.4 MiB`."""
    REQUEST_TOO_LARGE = "REQUEST_TOO_LARGE"
    """The write would pass what one append may hold: `5.1 MiB of 4 MiB`."""
    USER_ERASED = "USER_ERASED"
    """The user was erased after this request was first sent: `user was erased`."""
    HISTORY_TRIMMED = "HISTORY_TRIMMED"
    """The journal no longer reaches back that far: `journal starts at 120, asked for 17`."""
    NO_MODEL = "NO_MODEL"
    """It needs a language model and none is configured: `no model is configured`."""
    NO_EMBEDDER = "NO_EMBEDDER"
    """It needs vectors and no embedder is configured: `no embedder is configured`."""
    NOT_SUPPORTED = "NOT_SUPPORTED"
    """This server does not offer it: `method AGENTIC is not built in`."""
    OPERATION_FORBIDDEN = "OPERATION_FORBIDDEN"
    """The configuration does not allow what was asked for: `clearing a user's memory is switched off`."""
    EXTRACTION_ENDED = "EXTRACTION_ENDED"
    """The extraction has ended already: `extraction 0192… has SUCCEEDED`."""
    CANCELLED_BY_REQUEST = "CANCELLED_BY_REQUEST"
    """CancelExtraction ended it."""
    STORAGE_UNAVAILABLE = "STORAGE_UNAVAILABLE"
    """The database does not answer: `database did not answer`."""
    STORAGE_FULL = "STORAGE_FULL"
    """The disk, or the database, is full or read-only: `database cannot write: disk full`."""
    TOO_MANY_CALLS = "TOO_MANY_CALLS"
    """The server has all the calls it takes at once: `4000 calls are under way`."""
    SCHEMA_MISMATCH = "SCHEMA_MISMATCH"
    """The database has another schema version: `schema 3, this memsvc needs 2`."""
    SERVER_DRAINING = "SERVER_DRAINING"
    """The server is stopping: connect again."""
    MODEL_UNAVAILABLE = "MODEL_UNAVAILABLE"
    """The model endpoint does not answer or answers 5xx: `model endpoint answered 503`."""
    MODEL_RATE_LIMITED = "MODEL_RATE_LIMITED"
    """The model endpoint answered 429."""
    MODEL_TIMEOUT = "MODEL_TIMEOUT"
    """The model did not answer, or went silent, in time."""
    MODEL_OUTPUT_UNUSABLE = "MODEL_OUTPUT_UNUSABLE"
    """The model's output could not be read even after repair."""
    MODEL_OUTPUT_TOO_LARGE = "MODEL_OUTPUT_TOO_LARGE"
    """The model's output passed its limit."""
    MODEL_REFUSED = "MODEL_REFUSED"
    """The model refused."""
    MODEL_REJECTED = "MODEL_REJECTED"
    """The model endpoint rejects the request: wrong key, unknown model."""
    WORKER_LOST = "WORKER_LOST"
    """Workers died or hung while they worked on it, too often."""
    GAVE_UP = "GAVE_UP"
    """It waited longer than `max_wait`."""
    INTERNAL = "INTERNAL"
    """A defect of memsvc; the server's log has it."""


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
