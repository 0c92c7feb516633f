"""Single values between Python and protobuf: enums, times, durations, JSON."""

from __future__ import annotations

import enum
import functools
import json
import re
import uuid
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from memsvc.v1 import admin_pb2, common_pb2, context_pb2, extraction_pb2, memory_pb2, session_pb2, tool_pb2

E = TypeVar("E", bound=enum.StrEnum)

_FILES = (admin_pb2, common_pb2, context_pb2, extraction_pb2, memory_pb2, session_pb2, tool_pb2)


def enum_number(name: str, kind: type[E], value: str | None) -> Any:
    """Return the number of `value` in the protobuf enum named like `kind`; None is 0, UNSPECIFIED.

    Raises TypeError for what is no string, ValueError where the set has no such value; both say `name`.
    """
    if value is None:
        return 0
    numbers = _numbers(kind)
    if (number := numbers.get(string(name, value).lower())) is None:
        raise ValueError(f"{name}: {value!r} is no {kind.__name__}: one of {', '.join(filter(None, numbers))}")
    return number


def enum_numbers(name: str, kind: type[E], values: Iterable[str] | None) -> list[Any]:
    """Return the numbers of `values`; one plain string is not taken for a list of letters."""
    return [enum_number(f"{name}[{index}]", kind, value) for index, value in enumerate(strings(name, values))]


def enum_member(kind: type[E], number: int) -> E:
    """Return the member with this protobuf number, UNKNOWN where this client has none."""
    member = _members(kind).get(number)
    return kind("unknown") if member is None else member


@functools.cache
def _members(kind: type[E]) -> dict[int, E]:
    return {number: kind(value) for value, number in _numbers(kind).items()}


@functools.cache
def _numbers(kind: type[enum.StrEnum]) -> dict[str, int]:
    """Numbers by value: Layer.PROFILE is LAYER_PROFILE, NONE is ..._UNSPECIFIED, UNKNOWN has none."""
    described = next(f.DESCRIPTOR.enum_types_by_name[kind.__name__] for f in _FILES if hasattr(f, kind.__name__))
    prefix = re.sub(r"(?<!^)(?=[A-Z])", "_", kind.__name__).upper() + "_"
    names = {member: "UNSPECIFIED" if member.name == "NONE" else member.name for member in kind}
    return {
        member.value: described.values_by_name[prefix + name].number
        for member, name in names.items()
        if name != "UNKNOWN"
    }


def string(name: str, value: str) -> str:
    """Return `value`. Raises TypeError where it is no string, ValueError where no text can hold it (lone surrogates).

    Protobuf would not say which field is wrong.
    """
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a string, not {value!r:.80}")
    if not value.isascii() and (lone := _SURROGATE.search(value)):
        raise ValueError(
            f"{name} has half of a character (a lone surrogate) at {lone.start()}: {value[lone.start()]!a}"
        )
    return value


def whole_characters(text: str) -> str:
    """Return `text` with U+FFFD for each half of a character (a lone surrogate): what no text can hold."""
    if text.isascii() or not _SURROGATE.search(text):
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


_SURROGATE = re.compile("[\ud800-\udfff]")


def boolean(name: str, value: object) -> None:
    if not isinstance(value, bool):
        raise TypeError(f"{name} must be True or False, not {value!r:.80}")


def strings(name: str, values: Iterable[str] | None) -> list[str]:
    """Return `values` as a list. Raises TypeError for one plain string, which is iterable too but never meant so."""
    if isinstance(values, str):
        raise TypeError(f"{name} must be a list of strings, not the string {values!r}")
    if values is not None and not isinstance(values, Iterable):
        raise TypeError(f"{name} must be a list of strings, not {values!r:.80}")
    return [string(f"{name}[{index}]", value) for index, value in enumerate(values or ())]


def string_map(name: str, values: Mapping[str, str] | None) -> dict[str, str]:
    """Return `values` as a dict. Raises TypeError that names the key whose value is no string."""
    if values is not None and not isinstance(values, Mapping):
        raise TypeError(f"{name} must be a dict of strings, not {values!r:.80}")
    return {string(f"a key of {name}", key): string(f"{name}[{key!r}]", value) for key, value in (values or {}).items()}


def timestamp(time: datetime | str | None, name: str = "time") -> Timestamp | None:
    """Return `time`, a datetime or as ISO 8601 writes it, for the wire. Raises ValueError where it has no time zone."""
    if time is None:
        return None
    if isinstance(time, str):
        try:
            time = datetime.fromisoformat(time)
        except ValueError:
            raise ValueError(f"{name} must be as 2026-05-01T18:30:00Z, not {time!r:.80}") from None
    if not isinstance(time, datetime):
        raise TypeError(f"{name} must be a datetime, or a string as 2026-05-01T18:30:00Z, not {time!r:.80}")
    if time.tzinfo is None:
        raise ValueError(f"{time.isoformat()} has no time zone: use datetime.now(UTC) or .astimezone()")
    stamp = Timestamp()
    stamp.FromDatetime(time.astimezone(UTC))
    return stamp


def time_of(message: Any, field: str) -> datetime | None:
    """Return the Timestamp in `field` as an aware datetime, None where it is not set."""
    if not message.HasField(field):
        return None
    stamp: Timestamp = getattr(message, field)
    return stamp.ToDatetime(tzinfo=UTC)


_MAX_DURATION_SECONDS = 315_576_000_000 // 4


def duration(span: float | timedelta | None, name: str = "duration") -> Duration | None:
    """Return `span`, in seconds where it is a number, for the wire."""
    if span is None:
        return None
    if not isinstance(span, (int, float, timedelta)) or isinstance(span, bool):
        raise TypeError(f"{name} must be seconds or a timedelta, not {span!r:.80}")
    if isinstance(span, (int, float)) and not abs(span) <= _MAX_DURATION_SECONDS:
        raise ValueError(f"{name} must be at most {_MAX_DURATION_SECONDS} seconds, not {span}")
    length = Duration()
    length.FromTimedelta(span if isinstance(span, timedelta) else timedelta(seconds=span))
    return length


def to_json(name: str, value: object) -> str:
    """Return `value` as compact JSON. Raises TypeError or ValueError, which say `name`, where JSON cannot hold it."""
    try:
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{name} has no form in JSON: {error}") from None
    except RecursionError:
        raise ValueError(f"{name} is nested too deeply for JSON, or holds itself") from None
    return string(name, text)


def request_id_or_new(request_id: str | None) -> str:
    """Return the caller's request id or a new one. A retry repeats the bytes of a request, and so its id."""
    return request_id or str(uuid.uuid4())
