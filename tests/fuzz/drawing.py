"""Requests drawn from the descriptors: mostly what a client might send, with values that no client should, and bytes
that are no message at all. Whatever the protos come to hold is drawn without a change here."""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable, Mapping
from typing import Any, Final

from google.protobuf import message_factory
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

USERS: Final = tuple(f"user-{number}" for number in range(8))

_STRINGS: Final = (
    "",
    "a",
    "m1",
    "s1",
    "skis",
    "The user skis every winter, and has done so for years.",
    " ",
    "\0",
    "a\nb",
    "\x01" * 300,
    "é" * 129,
    "\U000e0100",
    "\u3164",
    "\u202e",
    "😀" * 70,
    "日本語",
    "x" * 257,
    "x" * 9_000,
    "{}",
    "[1,",
    '"\\ud800"',
    "[" * 2_000,
    "1e999",
    "NaN",
    "*",
    "text",
    "</user_memory>",
    "%' OR 1=1 --",
    "../../etc/passwd",
    "AAAA",
)
_INTEGERS: Final = (0, 1, 2, 3, 7, 100, 1_000, 1_001, -1, 2**31 - 1, -(2**31), 2**63 - 1, -(2**63))
_LISTS: Final = (0, 0, 1, 1, 1, 2, 3, 5)
_LONG_LISTS: Final = (33, 101, 1_001, 5_000)
_DEEPEST: Final = 6
_LARGEST_BYTES: Final = 7 << 20
"""Above 8 MiB, twice the limit of a request, gRPC refuses it before anybody is asked, and gives no reason."""
_NUMBERS: Final = frozenset(
    (
        FieldDescriptor.CPPTYPE_INT32,
        FieldDescriptor.CPPTYPE_INT64,
        FieldDescriptor.CPPTYPE_UINT32,
        FieldDescriptor.CPPTYPE_UINT64,
    )
)
_RANGES: Final[Mapping[int, tuple[int, int]]] = {
    FieldDescriptor.CPPTYPE_INT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.CPPTYPE_INT64: (-(2**63), 2**63 - 1),
    FieldDescriptor.CPPTYPE_UINT32: (0, 2**32 - 1),
    FieldDescriptor.CPPTYPE_UINT64: (0, 2**64 - 1),
}


def request_bytes(kind: Any, source: random.Random) -> bytes:
    """Return a request of a kind, a descriptor: as a client sends it, or damaged."""
    message = message_factory.GetMessageClass(kind)()
    fill(message, source, 0)
    sent = message.SerializeToString()
    return (damaged(sent, source) if source.random() < 0.15 else sent)[:_LARGEST_BYTES]


def fill(message: Message, source: random.Random, depth: int) -> None:
    """Set some fields of a message, most of them where it is the request itself."""
    for field in message.DESCRIPTOR.fields:
        if source.random() < (0.65 if depth < 2 else 0.4):
            _set(message, field, source, depth)


def damaged(sent: bytes, source: random.Random) -> bytes:
    """Return bytes that were a message."""
    return source.choice(_DAMAGES)(sent, source)


def _flipped(sent: bytes, source: random.Random) -> bytes:
    changed = bytearray(sent)
    for _ in range(source.randint(1, 4)):
        if changed:
            changed[source.randrange(len(changed))] = source.randrange(256)
    return bytes(changed)


def _cut(sent: bytes, source: random.Random) -> bytes:
    return sent[: source.randrange(len(sent) + 1)]


def _with_more(sent: bytes, source: random.Random) -> bytes:
    """Add a field that nobody knows, a list of numbers that is packed, or a part of itself."""
    number = source.choice((1, 2, 3, 7, 15, 99, 2_000))
    tag = number << 3 | 2
    head = bytes((tag,)) if tag < 0x80 else bytes((tag & 0x7F | 0x80, tag >> 7)) if tag < 0x4000 else b"\xfa\x7d"
    content = source.choice((b"", b"\x01" * 100, b"\xff" * 9, sent[:100]))
    return sent + head + bytes((len(content) & 0x7F,)) + content


def _repeated(sent: bytes, source: random.Random) -> bytes:
    return sent * source.choice((2, 3, 50))


def _noise(sent: bytes, source: random.Random) -> bytes:
    return source.randbytes(source.choice((1, 2, 10, 100, 5_000)))


_DAMAGES: Final[tuple[Callable[[bytes, random.Random], bytes], ...]] = (_flipped, _cut, _with_more, _repeated, _noise)


def _set(message: Message, field: Any, source: random.Random, depth: int) -> None:
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        entries = getattr(message, field.name)
        if field.message_type.fields_by_name["value"].message_type is None:
            for _ in range(source.choice(_LISTS)):
                key = _value(field.message_type.fields_by_name["key"], source)
                entries[key] = _value(field.message_type.fields_by_name["value"], source)
    elif field.message_type is not None:
        if depth >= _DEEPEST:
            return
        if field.is_repeated:
            for _ in range(_length(source, depth)):
                fill(getattr(message, field.name).add(), source, depth + 1)
        else:
            inner = getattr(message, field.name)
            inner.SetInParent()
            fill(inner, source, depth + 1)
    elif field.is_repeated:
        getattr(message, field.name).extend(_value(field, source) for _ in range(_length(source, depth)))
    else:
        setattr(message, field.name, _value(field, source))


def _length(source: random.Random, depth: int) -> int:
    return source.choice(_LONG_LISTS if source.random() < 0.01 and depth < 3 else _LISTS)


def _value(field: Any, source: random.Random) -> Any:
    kind = field.cpp_type
    if kind == FieldDescriptor.CPPTYPE_STRING:
        if field.type == FieldDescriptor.TYPE_BYTES:
            return source.randbytes(source.choice((0, 1, 16, 300)))
        return _text(field.name, source)
    if kind == FieldDescriptor.CPPTYPE_ENUM:
        known = [value.number for value in field.enum_type.values]
        return source.choice(known) if source.random() < 0.9 else source.choice((-1, 99, 2**31 - 1))
    if kind == FieldDescriptor.CPPTYPE_BOOL:
        return source.random() < 0.5
    if kind in _NUMBERS:
        low, high = _RANGES[kind]
        drawn = source.choice(_INTEGERS[:6] if source.random() < 0.7 else _INTEGERS)
        return min(high, max(low, drawn))
    return source.choice((0.0, 1.0, -1.0, 1e300, float("inf"), float("nan")))


def _text(name: str, source: random.Random) -> str:
    if source.random() < 0.8:
        if name == "user_id":
            return source.choice(USERS)
        if name == "request_id":
            return str(uuid.UUID(int=source.getrandbits(128) if source.random() < 0.9 else 7))
        if name == "namespace":
            return ""
        if name.endswith("_id"):
            return f"{name[0]}{source.randrange(6)}"
        if name == "paths":
            return source.choice(("text", "topics", "*", "value_json", "ttl", "metadata", "memory_id"))
        if name in ("key", "key_prefix"):
            return source.choice(("name", "stack", "stack.languages", "stack.languages.first", "a.b"))
        if name.endswith("token") or name == "etag":
            return ""
        if name.endswith("_json"):
            return source.choice(("1", '"a"', "[1, 2]", '{"a": {"b": [null]}}', ""))
    return source.choice(_STRINGS)
