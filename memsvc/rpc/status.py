"""From errors to statuses: code, message and `google.rpc` details, all of it under 4 KiB."""

from __future__ import annotations

from typing import Final, NamedTuple

import grpc
from google.protobuf.any_pb2 import Any
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo  # type: ignore[import-untyped]
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]

from memsvc.errors import Error

DOMAIN: Final = "memsvc.dev"
DETAILS_KEY: Final = "grpc-status-details-bin"

_MESSAGE_BYTES: Final = 400
_MAX_FIELDS: Final = 5
_FIELD_BYTES: Final = 160
_DESCRIPTION_BYTES: Final = 200
_MAX_METADATA: Final = 4
_NAME_BYTES: Final = 64
_VALUE_BYTES: Final = 280
_CODES: Final = {code.name: code for code in grpc.StatusCode}


class WireStatus(NamedTuple):
    """A status as gRPC sends it."""

    code: grpc.StatusCode
    message: str
    trailers: tuple[tuple[str, bytes], ...]


def wire_status(error: Error) -> WireStatus:
    """Return the status of an error. Long texts are cut: larger details would destroy the status."""
    code = _CODES[error.code]
    message = shortened(error.message, _MESSAGE_BYTES)
    status = Status(code=code.value[0], message=message, details=[_packed(each) for each in _details(error)])
    return WireStatus(code, message, ((DETAILS_KEY, status.SerializeToString()),))


def _details(error: Error) -> list[Message]:
    metadata = {
        shortened(name, _NAME_BYTES): shortened(value, _VALUE_BYTES)
        for name, value in list(error.metadata.items())[:_MAX_METADATA]
    }
    details: list[Message] = [ErrorInfo(reason=str(error.reason), domain=DOMAIN, metadata=metadata)]
    if error.fields:
        violations = [
            BadRequest.FieldViolation(
                field=shortened(each.field, _FIELD_BYTES), description=shortened(each.description, _DESCRIPTION_BYTES)
            )
            for each in error.fields[:_MAX_FIELDS]
        ]
        details.append(BadRequest(field_violations=violations))
    if error.retry_after_seconds > 0:
        delay = Duration()
        delay.FromMilliseconds(int(error.retry_after_seconds * 1000))
        details.append(RetryInfo(retry_delay=delay))
    return details


def _packed(detail: Message) -> Any:
    packed = Any()
    packed.Pack(detail)
    return packed


def shortened(text: str, limit_bytes: int) -> str:
    """Return the text, cut to at most so many bytes of UTF-8."""
    encoded = text.encode(errors="replace")
    if len(encoded) <= limit_bytes:
        return text
    return encoded[: limit_bytes - 3].decode(errors="ignore") + "…"
