"""Fields that many messages have: scopes, enums, times, freshness, request ids. What is wrong is named by its
path in the request."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final, Protocol, TypeVar

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from memsvc.errors import Reason, Unimplemented, invalid
from memsvc.journal.past import AsOf
from memsvc.journal.records import Request, request_digest
from memsvc.limits import MAX_FILTER_VALUES, MAX_SHARED_USERS, check_id, check_request_id
from memsvc.model import Layer, Polarity, Role, Scope, Trust
from memsvc.users import LATEST, Consistency
from memsvc.v1 import common_pb2

DEFAULT_NAMESPACE: Final = "default"
MAX_TTL_SECONDS: Final = 3_650 * 86_400
MAX_WAIT_SECONDS: Final = 3_600

LAYERS: Final[Mapping[int, Layer]] = {
    common_pb2.LAYER_PROFILE: Layer.PROFILE,
    common_pb2.LAYER_POLICY: Layer.POLICY,
    common_pb2.LAYER_KNOWLEDGE: Layer.KNOWLEDGE,
    common_pb2.LAYER_FEEDBACK: Layer.FEEDBACK,
}
TRUSTS: Final[Mapping[int, Trust]] = {
    common_pb2.TRUST_STATED: Trust.STATED,
    common_pb2.TRUST_INFERRED: Trust.INFERRED,
    common_pb2.TRUST_FROM_TOOL: Trust.FROM_TOOL,
    common_pb2.TRUST_IMPORTED: Trust.IMPORTED,
}
POLARITIES: Final[Mapping[int, Polarity]] = {
    common_pb2.POLARITY_UNSPECIFIED: Polarity.NONE,
    common_pb2.POLARITY_POSITIVE: Polarity.POSITIVE,
    common_pb2.POLARITY_NEGATIVE: Polarity.NEGATIVE,
}
ROLES: Final[Mapping[int, Role]] = {
    common_pb2.ROLE_SYSTEM: Role.SYSTEM,
    common_pb2.ROLE_USER: Role.USER,
    common_pb2.ROLE_ASSISTANT: Role.ASSISTANT,
    common_pb2.ROLE_TOOL: Role.TOOL,
}

_FIRST_SECOND: Final = -62_135_596_800
_LAST_SECOND: Final = 253_402_300_799
_MICROS: Final = 1_000_000

K = TypeVar("K")
V = TypeVar("V")


def inverted(values: Mapping[Any, V]) -> dict[V, Any]:
    """Return the mapping from values to numbers, for what goes out."""
    return {value: number for number, value in values.items()}


LAYER_NUMBERS: Final = inverted(LAYERS)
TRUST_NUMBERS: Final = inverted(TRUSTS)
POLARITY_NUMBERS: Final = inverted(POLARITIES)
ROLE_NUMBERS: Final = inverted(ROLES)


def read_scope(scope: common_pb2.Scope) -> Scope:
    """Return whose memory is meant; the user is required."""
    user_id = scope.user_id
    check_id("scope.user_id", user_id)
    return Scope(read_namespace("scope.namespace", scope.namespace), user_id)


def read_namespace(field: str, namespace: str) -> str:
    """Return the namespace, "default" where none is given."""
    if not namespace:
        return DEFAULT_NAMESPACE
    check_id(field, namespace)
    return namespace


def read_enum(field: str, number: int, values: Mapping[int, V], default: V | None = None) -> V:
    """Return the value of an enum; `default` where it is not given. Raises for numbers that are not known here."""
    value = values.get(number)
    if value is not None:
        return value
    if number:
        raise invalid(field, f"has no value {number}")
    if default is None:
        raise invalid(field, "must be set")
    return default


def read_enums(field: str, numbers: Collection[int], values: Mapping[int, V]) -> tuple[V, ...]:
    """Return the values of a repeated enum, each once."""
    if len(numbers) > MAX_FILTER_VALUES:
        raise invalid(field, f"must be at most {MAX_FILTER_VALUES}")
    chosen = (read_enum(f"{field}[{index}]", number, values) for index, number in enumerate(numbers))
    return tuple(dict.fromkeys(chosen))


def read_ids(field: str, ids: Sequence[str], limit: int) -> tuple[str, ...]:
    """Return a list of ids, each of them once."""
    if not ids:
        return ()
    if len(ids) > limit:
        raise invalid(field, f"must be at most {limit}")
    for index, each in enumerate(ids):
        check_id(f"{field}[{index}]", each)
    return tuple(dict.fromkeys(ids))


def read_shared_users(scope: Scope, user_ids: Sequence[str]) -> tuple[str, ...]:
    """Return the other users that a request names."""
    for index, user_id in enumerate(user_ids):
        if user_id == scope.user_id:
            raise invalid(f"shared_user_ids[{index}]", "must be another user than scope.user_id")
    return read_ids("shared_user_ids", user_ids, MAX_SHARED_USERS)


def read_time(field: str, time: Timestamp) -> int:
    """Return microseconds since the epoch; what is finer is dropped. The epoch itself is "not set"."""
    seconds, nanos = time.seconds, time.nanos
    if not _FIRST_SECOND <= seconds <= _LAST_SECOND or not 0 <= nanos < 1_000_000_000:
        raise invalid(field, "must be in the years 1 to 9999")
    return seconds * _MICROS + nanos // 1000


def timestamp(micros: int) -> Timestamp | None:
    """Return the message for microseconds since the epoch; None for 0, "not set"."""
    if not micros:
        return None
    seconds, rest = divmod(micros, _MICROS)
    return Timestamp(seconds=seconds, nanos=rest * 1000)


def set_time(message: Timestamp, micros: int) -> None:
    """Let the message of a field say microseconds since the epoch, which are not 0."""
    message.seconds, rest = divmod(micros, _MICROS)
    message.nanos = rest * 1000


def read_duration(field: str, duration: Duration, limit_seconds: int) -> float:
    """Return seconds, not negative and at most `limit_seconds`."""
    seconds, nanos = duration.seconds, duration.nanos
    if not -1_000_000_000 < nanos < 1_000_000_000 or (seconds > 0 > nanos) or (nanos > 0 > seconds):
        raise invalid(field, "must be a duration")
    if seconds < 0 or nanos < 0:
        raise invalid(field, "must not be negative")
    if seconds + nanos / 1e9 > limit_seconds:
        raise invalid(field, f"must be at most {limit_seconds} seconds")
    return seconds + nanos / 1e9


def check_not_negative(field: str, number: int) -> int:
    """Return the number. Raises if it is negative."""
    if number < 0:
        raise invalid(field, "must not be negative")
    return number


class _Fresh(Protocol):
    """A request that says how fresh its answer must be."""

    @property
    def consistency(self) -> common_pb2.Consistency: ...
    def HasField(self, field_name: Any) -> bool: ...  # noqa: N802


def read_consistency(request: _Fresh) -> Consistency:
    """Return how fresh a read must be. Raises Unimplemented for a past."""
    consistency = read_consistency_or_past(request)
    if consistency.as_of is not None:
        error = invalid(f"consistency.{request.consistency.WhichOneof('requirement')}", "is for memories only")
        raise Unimplemented(Reason.NOT_SUPPORTED, error.message, error.fields)
    return consistency


def read_consistency_or_past(request: _Fresh) -> Consistency:
    """Return how fresh a read of memories must be, or which past it is about."""
    if not request.HasField("consistency"):
        return LATEST
    consistency = request.consistency
    asked = consistency.WhichOneof("requirement")
    if asked == "at_least_revision":
        revision = check_not_negative("consistency.at_least_revision", consistency.at_least_revision)
        return Consistency(at_least_revision=revision) if revision else LATEST
    if asked == "max_staleness":
        staleness = read_duration("consistency.max_staleness", consistency.max_staleness, MAX_TTL_SECONDS)
        return Consistency(max_staleness_seconds=staleness) if staleness else LATEST
    if asked == "latest" and not consistency.latest:
        raise invalid("consistency.latest", "must be true, or another requirement set")
    if asked == "as_of_revision":
        revision = check_not_negative("consistency.as_of_revision", consistency.as_of_revision)
        return Consistency(as_of=AsOf(revision))
    if asked == "as_of_time":
        return Consistency(as_of=AsOf(time=read_time("consistency.as_of_time", consistency.as_of_time)))
    return LATEST


class _Repeatable(Protocol):
    """A request that is safe to repeat."""

    DESCRIPTOR: Any

    @property
    def request_id(self) -> str: ...
    def SerializeToString(self, *, deterministic: bool = ...) -> bytes: ...  # noqa: N802


def read_request(request: _Repeatable) -> Request | None:
    """Return what is kept of a request so that a repeat finds it; None: the client did not name it."""
    request_id = request.request_id
    if not request_id:
        return None
    check_request_id(request_id)
    method = request.DESCRIPTOR.name.removesuffix("Request")
    content = request.SerializeToString(deterministic=True)
    if request_id != request_id.lower():
        # A UUID is the same in capitals.
        content = content.replace(request_id.encode(), request_id.lower().encode())
    return Request(request_id.lower(), method, request_digest(content))
