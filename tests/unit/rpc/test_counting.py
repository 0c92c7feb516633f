from __future__ import annotations

import asyncio
import time

import pytest
from google.protobuf.message import DecodeError, Message

from memsvc.errors import InvalidArgument
from memsvc.rpc.admission import FEW_BYTES, few_made_of
from memsvc.rpc.counting import MAX_FIELDS, at_most_messages, count_messages, kind_of, message_tags
from memsvc.rpc.room import SMALL_BYTES
from memsvc.v1 import common_pb2, memory_pb2, message_pb2, session_pb2


def field(number: int, content: bytes) -> bytes:
    """Return a field of bytes, as protobuf writes it."""
    length, digits = len(content), b""
    while length > 0x7F:
        digits += bytes((length & 0x7F | 0x80,))
        length >>= 7
    return bytes((number << 3 | 2,)) + digits + bytes((length,)) + content


def counted(message: type[Message], raw: bytes) -> int:
    return asyncio.run(count_messages(raw, kind_of(message.DESCRIPTOR)))


def refused(message: type[Message], raw: bytes) -> str:
    with pytest.raises(InvalidArgument) as error:
        counted(message, raw)
    return error.value.fields[0].field


def test_messages_are_counted_however_deep_they_are() -> None:
    part = message_pb2.Part(text=message_pb2.TextPart(text="I ski"))
    message = message_pb2.Message(role=common_pb2.ROLE_USER, parts=[part, part])
    run = session_pb2.Run(session_id="s1", messages=[message] * 3, metadata={"a": "b"})
    request = session_pb2.AppendRunRequest(scope=common_pb2.Scope(user_id="sarah"), run=run)

    # The request, scope, run, one entry of the map, and three messages with two parts with a text each.
    assert counted(type(request), request.SerializeToString()) == 4 + 3 * (1 + 2 * 2)


def test_no_request_holds_more_messages_than_there_are_tags() -> None:
    for request in (session_pb2.AppendRunRequest, memory_pb2.BatchWriteMemoriesRequest, memory_pb2.ListMemoriesRequest):
        kind = kind_of(request.DESCRIPTOR)
        tags = message_tags(kind)
        for number, (_, _, held) in kind.messages.items():
            for inner in held.messages:
                # An empty message in another, and each tag in a byte more than it takes.
                raw = field(number, field(inner, b"")) if max(number, inner) < 16 else b""
                longer = bytes((number << 3 & 0x7F | 0x82, number >> 4, 0))
                assert at_most_messages(raw * 50 + longer * 30, tags) >= 1 + 30 + (100 if raw else 0)


def test_a_small_request_of_few_messages_is_not_counted_one_of_many_is() -> None:
    tags = message_tags(kind_of(session_pb2.AppendRunRequest.DESCRIPTOR))
    part = message_pb2.Part(text=message_pb2.TextPart(text="I ski at Tahoe, and climb in Yosemite. " * 5))
    run = session_pb2.Run(session_id="s1", messages=[message_pb2.Message(parts=[part])] * 2)
    few = session_pb2.AppendRunRequest(run=run).SerializeToString()
    many = session_pb2.AppendRunRequest(run=session_pb2.Run(messages=[message_pb2.Message()] * 300)).SerializeToString()

    assert FEW_BYTES < len(few) <= few_made_of(few, tags) <= SMALL_BYTES
    assert few_made_of(many, tags) == 0


@pytest.mark.parametrize("size", [1_001, 50_000, 4_000_000])
def test_a_list_of_numbers_is_too_long_wherever_it_stands(size: int) -> None:
    number = common_pb2.MemoryFilter.DESCRIPTOR.fields_by_name["layers"].number
    packed = field(number, b"\x81\x80\x80\x80\x80\x80\x80\x80\x80\x01" * 1 + b"\x01" * size)
    scattered = bytes((number << 3, 1)) * size
    in_chunks = field(number, b"\x01" * 100) * (size // 100 + 1)
    listing = memory_pb2.ListMemoriesRequest.DESCRIPTOR.fields_by_name["filter"].number

    assert refused(memory_pb2.ListMemoriesRequest, field(listing, scattered)) == "filter.layers"
    if size > 10_000:
        # Fewer are left to whoever reads them: it takes no time to make them.
        assert refused(memory_pb2.ListMemoriesRequest, field(listing, packed)) == "filter.layers"
        assert refused(memory_pb2.ListMemoriesRequest, field(listing, in_chunks)) == "filter.layers"


def test_the_list_that_is_too_long_is_named_with_its_place() -> None:
    run = session_pb2.AppendRunRequest.DESCRIPTOR.fields_by_name["run"].number
    messages = session_pb2.Run.DESCRIPTOR.fields_by_name["messages"].number
    parts = message_pb2.Message.DESCRIPTOR.fields_by_name["parts"].number
    crowded = field(messages, field(parts, b"") * 1_001)
    operations = memory_pb2.BatchWriteMemoriesRequest.DESCRIPTOR.fields_by_name["operations"].number

    assert refused(session_pb2.AppendRunRequest, field(run, field(messages, b"") + crowded)) == "run.messages[1].parts"
    assert refused(session_pb2.AppendRunRequest, field(run, field(messages, b"") * 1_001)) == "run.messages"
    assert refused(memory_pb2.BatchWriteMemoriesRequest, field(operations, b"") * 1_001) == "operations"


def test_lists_that_are_long_together_are_too_long() -> None:
    run = session_pb2.AppendRunRequest.DESCRIPTOR.fields_by_name["run"].number
    messages = session_pb2.Run.DESCRIPTOR.fields_by_name["messages"].number
    parts = message_pb2.Message.DESCRIPTOR.fields_by_name["parts"].number
    crowded = field(run, field(messages, field(parts, b"") * 1_000) * (MAX_FIELDS // 1_000 + 10))

    assert refused(session_pb2.AppendRunRequest, crowded) == "run"


@pytest.mark.parametrize(
    "raw", [b"\x0a", b"\x0a\x05a", b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", b"\xff" * 30, b"\x0b", b"\x0f"]
)
def test_what_is_cut_off_or_no_message_is_said(raw: bytes) -> None:
    with pytest.raises(DecodeError):
        counted(memory_pb2.ListMemoriesRequest, raw)


def test_a_message_in_itself_ends_somewhere() -> None:
    result = message_pb2.Part.DESCRIPTOR.fields_by_name["tool_result"]
    if result.message_type.fields_by_name["parts"].message_type.full_name != message_pb2.Part.DESCRIPTOR.full_name:
        pytest.skip("no message of the API holds itself")
    inner = result.message_type.fields_by_name["parts"].number
    raw = b""
    for _ in range(100):
        raw = field(result.number, field(inner, raw))
    with pytest.raises(DecodeError):
        counted(message_pb2.Part, raw)


async def test_others_have_their_turn_while_much_is_counted() -> None:
    memory = memory_pb2.Memory(text="I ski", topics=["a"] * 32, metadata={str(number): "b" for number in range(20)})
    operation = memory_pb2.BatchWriteOperation(create=memory_pb2.CreateOperation(memory=memory))
    request = memory_pb2.BatchWriteMemoriesRequest(operations=[operation] * 1_000)
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    waiting = asyncio.create_task(others())
    started = time.thread_time()
    await count_messages(request.SerializeToString(), kind_of(request.DESCRIPTOR))
    taken = time.thread_time() - started
    waiting.cancel()

    assert turns >= 5
    assert taken < 2.0
