"""Statuses as Connect has them: a code in lower case, an HTTP status, details in base64 beside their JSON."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping
from typing import Any, Final

import grpc
import msgspec
from google.protobuf import message_factory
from google.protobuf.descriptor_pool import Default
from google.rpc.error_details_pb2 import RetryInfo  # type: ignore[import-untyped]
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]

from memsvc.errors import (
    Error,
    Internal,
    InvalidArgument,
    PermissionDenied,
    Reason,
    ResourceExhausted,
    Unavailable,
    Unimplemented,
)
from memsvc.http.json_writing import to_json
from memsvc.rpc.status import DETAILS_KEY, WireStatus, wire_status

_HTTP_STATUSES: Final = {
    "CANCELLED": 499,
    "UNKNOWN": 500,
    "INVALID_ARGUMENT": 400,
    "DEADLINE_EXCEEDED": 504,
    "NOT_FOUND": 404,
    "ALREADY_EXISTS": 409,
    "PERMISSION_DENIED": 403,
    "RESOURCE_EXHAUSTED": 429,
    "FAILED_PRECONDITION": 400,
    "ABORTED": 409,
    "OUT_OF_RANGE": 400,
    "UNIMPLEMENTED": 501,
    "INTERNAL": 500,
    "UNAVAILABLE": 503,
    "DATA_LOSS": 500,
    "UNAUTHENTICATED": 401,
}
_PLAIN: Final[Mapping[int, tuple[type[Error], Reason]]] = {
    403: (PermissionDenied, Reason.PERMISSION_DENIED),
    404: (Unimplemented, Reason.NOT_SUPPORTED),
    405: (Unimplemented, Reason.NOT_SUPPORTED),
    413: (ResourceExhausted, Reason.REQUEST_TOO_LARGE),
    501: (Unimplemented, Reason.NOT_SUPPORTED),
    503: (Unavailable, Reason.TOO_MANY_CALLS),
    505: (Unimplemented, Reason.NOT_SUPPORTED),
}
"""What HTTP refuses, in the API's words; all else is a request that is wrong."""
_CANCELED: Final = {"cancelled": "canceled"}
"""Connect spells it as Americans do."""


class Refused(Exception):
    """A call ended with this status."""

    def __init__(self, status: WireStatus) -> None:
        super().__init__(status.code.name)
        self.status = status


def refusal(error: Error) -> Refused:
    """Return how a call ends that raised this."""
    return Refused(wire_status(error))


def plain_status(http: int, message: str) -> WireStatus:
    """Return the status for what HTTP itself refuses."""
    kind, reason = _PLAIN.get(http, (InvalidArgument, Reason.INVALID_FIELD))
    return wire_status(kind(reason, message))


def failed() -> Refused:
    """Return how a call ends that failed for no reason of its client's."""
    return refusal(Internal(Reason.INTERNAL, "internal error"))


def out_of_time() -> Refused:
    """Return how a call ends whose client gave it no more time."""
    return Refused(WireStatus(grpc.StatusCode.DEADLINE_EXCEEDED, "the call's time is over", ()))


def http_status(status: WireStatus) -> int:
    return _HTTP_STATUSES[status.code.name]


def error_body(status: WireStatus) -> bytes:
    """Return the JSON of an error."""
    return msgspec.json.encode(error_json(status))


def error_json(status: WireStatus) -> dict[str, Any]:
    """Return an error as it is answered, or stands at the end of a stream."""
    code = status.code.name.lower()
    error: dict[str, Any] = {"code": _CANCELED.get(code, code), "message": status.message}
    details = [_detail(each) for each in _details(status)]
    if details:
        error["details"] = details
    return error


def retry_after_seconds(status: WireStatus) -> int:
    """Return after how many whole seconds to try again; 0: nothing is said of that."""
    for detail in _details(status):
        retry = RetryInfo()
        if detail.Unpack(retry):
            milliseconds: int = retry.retry_delay.ToMilliseconds()
            return math.ceil(milliseconds / 1000)
    return 0


def _details(status: WireStatus) -> list[Any]:
    packed = dict(status.trailers).get(DETAILS_KEY)
    return list(Status.FromString(packed).details) if packed else []


def _detail(packed: Any) -> dict[str, Any]:
    name = packed.type_url.rpartition("/")[2]
    message = message_factory.GetMessageClass(Default().FindMessageTypeByName(name)).FromString(packed.value)
    value = base64.b64encode(packed.value).decode().rstrip("=")
    return {"type": name, "value": value, "debug": to_json(message)}
