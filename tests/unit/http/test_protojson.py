"""Both directions against protobuf's own JSON, for requests and replies drawn from the protos."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from google.protobuf import json_format, message_factory
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from hypothesis import given, settings
from hypothesis import strategies as st

from memsvc.errors import InvalidArgument
from memsvc.http.json_reading import read_json
from memsvc.http.json_writing import write_json
from memsvc.rpc.services import SERVICES

KINDS = [
    message_factory.GetMessageClass(kind)
    for service in SERVICES
    for method in service.methods
    for kind in (method.input_type, method.output_type)
]
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
SCALARS: dict[int, st.SearchStrategy[Any]] = {
    FieldDescriptor.TYPE_STRING: TEXTS,
    FieldDescriptor.TYPE_BYTES: st.binary(max_size=8),
    FieldDescriptor.TYPE_BOOL: st.booleans(),
    FieldDescriptor.TYPE_DOUBLE: st.floats(),
    FieldDescriptor.TYPE_INT32: st.integers(-(2**31), 2**31 - 1),
    FieldDescriptor.TYPE_INT64: st.integers(-(2**63), 2**63 - 1),
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


def value(draw: Any, field: Any, depth: int) -> Any:
    if field.enum_type is not None:
        return draw(st.sampled_from([each.number for each in field.enum_type.values]))
    if field.message_type is None:
        return draw(SCALARS[field.type])
    name = field.message_type.full_name
    if name in ("google.protobuf.Timestamp", "google.protobuf.Duration"):
        low = -62_135_596_800 if name.endswith("Timestamp") else 0
        kind = message_factory.GetMessageClass(field.message_type)
        nanos = draw(st.sampled_from([0, 1, 1_000, 120_000_000, 999_999_999]))
        return kind(seconds=draw(st.integers(low, 253_402_300_799)), nanos=nanos)
    if name == "google.protobuf.FieldMask":
        return message_factory.GetMessageClass(field.message_type)(
            paths=draw(st.lists(st.sampled_from(["memory.text", "value_json"])))
        )
    return drawn(draw, message_factory.GetMessageClass(field.message_type), depth + 1)


def drawn(draw: Any, kind: type[Message], depth: int = 0) -> Any:
    message: Any = kind()
    for field in kind.DESCRIPTOR.fields:
        if depth > 3 or not draw(st.booleans()):
            continue
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            getattr(message, field.name).update(draw(st.dictionaries(TEXTS, TEXTS, max_size=2)))
        elif field.is_repeated:
            values = [value(draw, field, depth) for _ in range(draw(st.integers(0, 2)))]
            getattr(message, field.name).extend(values)
        elif field.message_type is not None:
            getattr(message, field.name).CopyFrom(value(draw, field, depth))
        else:
            setattr(message, field.name, value(draw, field, depth))
    return message


@st.composite
def messages(draw: Any) -> Any:
    return drawn(draw, draw(st.sampled_from(KINDS)))


@given(messages())
@settings(deadline=None, max_examples=60)
def test_what_is_written_is_what_protobuf_writes(message: Any) -> None:
    theirs = json.loads(json_format.MessageToJson(message))

    assert same(json.loads(write_json(message)), theirs)


@given(messages(), st.booleans())
@settings(deadline=None, max_examples=60)
def test_what_protobuf_writes_is_read(message: Any, as_in_proto: bool) -> None:
    raw = json_format.MessageToJson(message, preserving_proto_field_name=as_in_proto).encode()
    read = read_json(raw, type(message), ignores_unknown=False)

    assert read.SerializeToString(deterministic=True) == message.SerializeToString(deterministic=True)


@given(st.sampled_from(KINDS), st.dictionaries(st.text(max_size=5), JSON, max_size=3), st.data())
@settings(deadline=None, max_examples=60)
def test_whatever_comes_is_read_or_refused(kind: type[Message], given: dict[str, Any], data: Any) -> None:
    for field in kind.DESCRIPTOR.fields:
        if data.draw(st.booleans()):
            given[field.json_name] = data.draw(JSON)
    with contextlib.suppress(InvalidArgument):
        read_json(json.dumps(given).encode(), kind, ignores_unknown=data.draw(st.booleans()))


@pytest.mark.parametrize(
    ("raw", "field"),
    [
        (b'{"scope":{"userId":7}}', "scope.user_id"),
        (b'{"scope":{"userId":"a","user_id":"b"}}', "scope.user_id"),
        (b'{"scope":[]}', "scope"),
        (b'{"memory":{"topics":["a",1]}}', "memory.topics[1]"),
        (b'{"memory":{"topics":"a"}}', "memory.topics"),
        (b'{"memory":{"layer":"PROFILE"}}', "memory.layer"),
        (b'{"memory":{"layer":3000000000}}', "memory.layer"),
        (b'{"memory":{"createTime":"yesterday"}}', "memory.create_time"),
        (b'{"memory":{"createTime":"2026-02-30T00:00:00Z"}}', "memory.create_time"),
        (b'{"memory":{"metadata":{"a":1}}}', "memory.metadata.a"),
        (b'{"memory":{"text":"\\ud800"}}', "memory.text"),
        (b'{"memory":{"number":"1.5"}}', "memory.number"),
        (b'{"memory":{"number":9223372036854775808}}', "memory.number"),
        (b'{"memory":{"ttl":"1h"}}', "memory.ttl"),
        (b'{"memory":{"ttl":"1s","expireTime":"2026-01-01T00:00:00Z"}}', "memory.expire_time"),
        (b'{"mergeSameText":"true"}', "merge_same_text"),
        (b'{"expectedRevision":true}', "expected_revision"),
    ],
)
def test_what_is_wrong_is_named_by_its_path(raw: bytes, field: str) -> None:
    kind = next(each for each in KINDS if each.DESCRIPTOR.name == "CreateMemoryRequest")
    with pytest.raises(InvalidArgument) as refused:
        read_json(raw, kind, ignores_unknown=False)

    assert [each.field for each in refused.value.fields] == [field]


def test_more_values_than_any_request_has_are_not_made() -> None:
    kind = next(each for each in KINDS if each.DESCRIPTOR.name == "CreateMemoryRequest")
    with pytest.raises(InvalidArgument, match="more than"):
        read_json(b'{"a":[' + b"{}," * 300_000 + b"{}]}", kind, ignores_unknown=True)


def same(one: Any, other: Any) -> bool:
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(value, other[key]) for key, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)
