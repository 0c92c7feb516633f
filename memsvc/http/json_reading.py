"""From JSON to messages, as protojson has it.

protobuf's own parser tells what is wrong in a sentence about Python classes; this one names the field by its path, as
every other error of the API does, takes a third of its time, and knows which unknown fields may be passed over:

    {"scope": {"userId": 7}}  ->  scope.user_id: must be text

Both spellings of a name are read (user_id, userId), numbers of 64 bits as text or number, enums by name or number.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final, NoReturn

from google.protobuf import message_factory
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.message import Message

from memsvc.errors import InvalidArgument, Reason, invalid

MAX_VALUES: Final = 200_000
"""More values are no request of this API, and would be hundreds of megabytes of small objects."""
_FEW_BYTES: Final = 64 << 10
_TEXTS: Final = re.compile(rb'"(?:[^"\\]|\\.)*"')
_SHOWN_CHARACTERS: Final = 60
_DURATION: Final = re.compile(r"(-?)(\d{1,12})(?:\.(\d{1,9}))?s")
_TIME: Final = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt](\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?([Zz]|[+-]\d\d:\d\d)",
)
_WHOLE_NUMBER: Final = re.compile(r"-?\d{1,20}")
_NOT_FINITE: Final = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}

Convert = Callable[[Any], Any]


class _Wrong(Exception):
    """What is wrong with a value; whoever it passes through puts the name of its field before the path."""

    def __init__(self, description: str, path: str = "", reason: Reason = Reason.INVALID_FIELD) -> None:
        self.description = description
        self.path = path
        self.reason = reason

    def under(self, name: str) -> _Wrong:
        separator = "" if not self.path or self.path.startswith("[") else "."
        self.path = f"{name}{separator}{self.path}"
        return self


def read_json(raw: bytes, kind: type[Message], *, ignores_unknown: bool) -> Any:
    """Return the message. Raises InvalidArgument that names the field, or UNKNOWN_FIELD.

    `ignores_unknown`: fields that are not known here are passed over, but for those of filters.
    """
    if len(raw) > _FEW_BYTES:
        _check_count(raw)
    message = kind()
    try:
        value = json.loads(raw.decode(), object_pairs_hook=_each_once, parse_constant=_no_constant)
        _reader(kind.DESCRIPTOR).read(message, value, ignores_unknown)
    except _Wrong as wrong:
        if wrong.path:
            raise invalid(wrong.path, wrong.description, wrong.reason) from None
        raise _no_request(kind, wrong.description) from None
    except UnicodeDecodeError:
        raise _no_request(kind, "the body is not UTF-8") from None
    except json.JSONDecodeError as error:
        raise _no_request(kind, f"no JSON: line {error.lineno}, column {error.colno}") from None
    except (RecursionError, ValueError):
        # Python takes no numbers of thousands of digits.
        raise _no_request(kind, "nested too deeply, or a number of too many digits") from None
    return message


def _no_request(kind: type[Message], because: str) -> InvalidArgument:
    return InvalidArgument(Reason.INVALID_FIELD, f"request is no {kind.DESCRIPTOR.name}: {because}")


def _check_count(raw: bytes) -> None:
    bare = _TEXTS.sub(b"", raw)
    if bare.count(b",") + bare.count(b"{") + bare.count(b"[") > MAX_VALUES:
        raise InvalidArgument(Reason.INVALID_FIELD, f"request holds more than {MAX_VALUES} values: split it")


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) != len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise _Wrong("is given twice", _shown(name))
            seen.add(name)
    return values


def _no_constant(name: str) -> NoReturn:
    raise _Wrong(f"{name} is no JSON: write it as text")


def _shown(text: object) -> str:
    shown = str(text)[:_SHOWN_CHARACTERS]
    return shown if shown.isprintable() else shown.encode("ascii", "backslashreplace").decode()


class _Reader:
    """Reads one kind of message."""

    def __init__(self, descriptor: Any) -> None:
        self.is_filter = descriptor.name.endswith("Filter")
        self._fields: dict[str, tuple[str, Callable[[Any, Any, bool], None], str]] = {}
        for field in descriptor.fields:
            oneof = field.containing_oneof
            # The oneof that protoc makes for `optional` has one field alone.
            choice = oneof.name if oneof is not None and len(oneof.fields) > 1 else ""
            known = (field.name, _setter(field), choice)
            self._fields[field.json_name] = self._fields[field.name] = known

    def read(self, message: Any, values: Any, ignores_unknown: bool) -> None:
        if type(values) is not dict:
            raise _Wrong("must be an object")
        chosen: dict[str, str] = {}
        seen: set[str] = set()
        for given, value in values.items():
            known = self._fields.get(given)
            if known is None:
                if ignores_unknown and not self.is_filter:
                    continue
                raise _Wrong("is no field that this server knows", _shown(given), Reason.UNKNOWN_FIELD)
            name, put, choice = known
            if name in seen:
                raise _Wrong("is given twice", name)
            seen.add(name)
            if value is None:
                continue
            if choice:
                if choice in chosen:
                    raise _Wrong(f"excludes {chosen[choice]}", name)
                chosen[choice] = name
            try:
                put(message, value, ignores_unknown)
            except _Wrong as wrong:
                raise wrong.under(name) from None


_readers: dict[str, _Reader] = {}


def _reader(descriptor: Any) -> _Reader:
    reader = _readers.get(descriptor.full_name)
    if reader is None:
        reader = _readers[descriptor.full_name] = _Reader(descriptor)
    return reader


def _setter(field: FieldDescriptor) -> Callable[[Any, Any, bool], None]:
    """Return what puts a value into a field of a message; the last argument: unknown fields are passed over."""
    name, kind = field.name, field.message_type
    if kind is not None and kind.GetOptions().map_entry:
        return _map_setter(field)
    well_known = _WELL_KNOWN.get(kind.full_name) if kind is not None else None
    if kind is not None and well_known is None:
        return _message_setter(name, kind, repeated=field.is_repeated)
    convert = well_known or _converter(field)
    if field.is_repeated:

        def put_all(message: Any, value: Any, _: bool) -> None:
            getattr(message, name).extend(_each(value, convert))

        return put_all
    if well_known is not None:

        def put_known(message: Any, value: Any, _: bool) -> None:
            getattr(message, name).CopyFrom(convert(value))

        return put_known

    def put(message: Any, value: Any, _: bool) -> None:
        setattr(message, name, convert(value))

    return put


def _message_setter(name: str, kind: Descriptor, *, repeated: bool) -> Callable[[Any, Any, bool], None]:
    def put_all(message: Any, values: Any, ignores_unknown: bool) -> None:
        container = getattr(message, name)

        def read(value: Any) -> None:
            _reader(kind).read(container.add(), value, ignores_unknown)

        _each(values, read)

    def put(message: Any, value: Any, ignores_unknown: bool) -> None:
        inner = getattr(message, name)
        inner.SetInParent()
        _reader(kind).read(inner, value, ignores_unknown)

    return put_all if repeated else put


def _map_setter(field: FieldDescriptor) -> Callable[[Any, Any, bool], None]:
    """Return what reads a map; of texts, as all maps of the API are."""
    name = field.name

    def put(message: Any, values: Any, _: bool) -> None:
        if type(values) is not dict:
            raise _Wrong("must be an object")
        entries = getattr(message, name)
        for key, value in values.items():
            try:
                entries[_text(key)] = _text(value)
            except _Wrong as wrong:
                raise wrong.under(_shown(key)) from None

    return put


def _each(values: Any, convert: Convert) -> list[Any]:
    if type(values) is not list:
        raise _Wrong("must be a list")
    converted = []
    for value in values:
        try:
            converted.append(convert(value))
        except _Wrong as wrong:
            raise wrong.under(f"[{len(converted)}]") from None
    return converted


def _converter(field: FieldDescriptor) -> Convert:
    if field.enum_type is not None:
        return _enum(field.enum_type)
    return _CONVERTERS[field.type]


def _enum(kind: EnumDescriptor) -> Convert:
    numbers = {value.name: value.number for value in kind.values}
    known = ", ".join(value.name for value in kind.values if value.number)

    def convert(value: Any) -> int:
        if type(value) is str and value in numbers:
            return numbers[value]
        if type(value) is int and -(2**31) <= value < 2**31:
            return value
        raise _Wrong(f"must be one of {known}")

    return convert


def _whole(low: int, high: int) -> Convert:
    def convert(value: Any) -> int:
        if (type(value) is str and _WHOLE_NUMBER.fullmatch(value)) or (type(value) is float and value.is_integer()):
            value = int(value)
        if type(value) is not int:
            raise _Wrong("must be a whole number")
        if not low <= value <= high:
            raise _Wrong(f"must be from {low} to {high}")
        return value

    return convert


def _number(value: Any) -> float:
    if type(value) is str:
        try:
            value = _NOT_FINITE[value] if value in _NOT_FINITE else float(value)
        except ValueError:
            raise _Wrong("must be a number") from None
    if type(value) not in (int, float):
        raise _Wrong("must be a number")
    try:
        return float(value)
    except OverflowError:
        raise _Wrong("must be a number of 64 bits") from None


def _boolean(value: Any) -> bool:
    if type(value) is not bool:
        raise _Wrong("must be true or false")
    return value


def _text(value: Any) -> str:
    if type(value) is not str:
        raise _Wrong("must be text")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise _Wrong("must be Unicode: it holds half of a surrogate pair") from None
    return value


def _bytes(value: Any) -> bytes:
    if type(value) is not str:
        raise _Wrong("must be text in base64")
    try:
        return base64.b64decode(value.replace("-", "+").replace("_", "/") + "=" * (-len(value) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise _Wrong("must be text in base64") from None


def _timestamp(value: Any) -> Message:
    parts = _TIME.fullmatch(value) if type(value) is str else None
    if parts is None:
        raise _Wrong('must be a time like "2026-11-28T21:27:09Z"')
    date, clock, fraction, zone = parts.groups()
    try:
        moment = datetime.fromisoformat(f"{date}T{clock}{'+00:00' if zone in 'Zz' else zone}")
        since = moment - _EPOCH
    except (ValueError, OverflowError):
        raise _Wrong("must be a time that there is, in the years 1 to 9999") from None
    return _made("Timestamp", since.days * 86_400 + since.seconds, int((fraction or "").ljust(9, "0")))


_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def _duration(value: Any) -> Message:
    parts = _DURATION.fullmatch(value) if type(value) is str else None
    if parts is None or int(parts[2]) > 315_576_000_000:
        raise _Wrong('must be seconds like "1.5s"')
    sign = -1 if parts[1] else 1
    return _made("Duration", sign * int(parts[2]), sign * int((parts[3] or "").ljust(9, "0")))


def _field_mask(value: Any) -> Message:
    mask: Any = _well_known("FieldMask")()
    for path in filter(None, _text(value).split(",")):
        mask.paths.append(re.sub(r"[A-Z]", lambda letter: f"_{letter[0].lower()}", path))
    return mask  # type: ignore[no-any-return]


def _made(name: str, seconds: int, nanos: int) -> Message:
    message: Message = _well_known(name)(seconds=seconds, nanos=nanos)
    return message


def _well_known(name: str) -> Any:
    from google.protobuf import descriptor_pool

    kind = _made_of.get(name)
    if kind is None:
        descriptor = descriptor_pool.Default().FindMessageTypeByName(f"google.protobuf.{name}")
        kind = _made_of[name] = message_factory.GetMessageClass(descriptor)
    return kind


_made_of: dict[str, Any] = {}
_WELL_KNOWN: Final[Mapping[str, Convert]] = {
    "google.protobuf.Timestamp": _timestamp,
    "google.protobuf.Duration": _duration,
    "google.protobuf.FieldMask": _field_mask,
}
_INT32, _INT64 = _whole(-(2**31), 2**31 - 1), _whole(-(2**63), 2**63 - 1)
_UINT32, _UINT64 = _whole(0, 2**32 - 1), _whole(0, 2**64 - 1)
_CONVERTERS: Final[Mapping[int, Convert]] = {
    FieldDescriptor.TYPE_STRING: _text,
    FieldDescriptor.TYPE_BYTES: _bytes,
    FieldDescriptor.TYPE_BOOL: _boolean,
    FieldDescriptor.TYPE_DOUBLE: _number,
    FieldDescriptor.TYPE_FLOAT: _number,
    FieldDescriptor.TYPE_INT32: _INT32,
    FieldDescriptor.TYPE_SINT32: _INT32,
    FieldDescriptor.TYPE_SFIXED32: _INT32,
    FieldDescriptor.TYPE_INT64: _INT64,
    FieldDescriptor.TYPE_SINT64: _INT64,
    FieldDescriptor.TYPE_SFIXED64: _INT64,
    FieldDescriptor.TYPE_UINT32: _UINT32,
    FieldDescriptor.TYPE_FIXED32: _UINT32,
    FieldDescriptor.TYPE_UINT64: _UINT64,
    FieldDescriptor.TYPE_FIXED64: _UINT64,
}
