"""What this server does not know is refused in every write, every filter and all settings, and ignored elsewhere."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from google.protobuf.message import Message
from rpc_harness import SARAH, Harness, failing, failure_of, said
from test_bad_input import send
from valid_requests import MASK, MEMORY, RPCS, VALID

from memsvc.model import Scope
from memsvc.rpc.unknown_fields import read_check
from memsvc.v1 import (
    common_pb2,
    config_pb2,
    context_pb2,
    extraction_pb2,
    memory_pb2,
    message_pb2,
    session_pb2,
    tool_pb2,
)

UNKNOWN = b"\xb8\x3e\x01"
"""Field 999, a bool."""
FILTER = common_pb2.MemoryFilter(layers=[common_pb2.LAYER_FEEDBACK], topics_any=["sport"])
SETTINGS = config_pb2.MemorySettings(
    feedback=config_pb2.LayerSettings(shown=False), operations=config_pb2.OperationSettings(clear=False)
)
OPERATION = memory_pb2.BatchWriteOperation
FULL: dict[str, Message] = {
    **VALID,
    "BatchWriteMemories": memory_pb2.BatchWriteMemoriesRequest(
        scope=SARAH,
        operations=[
            OPERATION(create=memory_pb2.CreateOperation(memory=memory_pb2.Memory(text="a"))),
            OPERATION(update=memory_pb2.UpdateOperation(memory=MEMORY, update_mask=MASK, allow_missing=True)),
            OPERATION(
                delete=memory_pb2.DeleteOperation(
                    address=memory_pb2.KeyAddress(layer=common_pb2.LAYER_PROFILE, key="role"), allow_missing=True
                )
            ),
        ],
    ),
    "ClearMemories": memory_pb2.ClearMemoriesRequest(scope=SARAH, filter=FILTER),
    "ListMemories": memory_pb2.ListMemoriesRequest(scope=SARAH, filter=FILTER),
    "SearchMemories": memory_pb2.SearchMemoriesRequest(scope=SARAH, query="skis", filter=FILTER),
    "ListTopics": memory_pb2.ListTopicsRequest(scope=SARAH, filter=FILTER),
    "WatchMemories": memory_pb2.WatchMemoriesRequest(scope=SARAH, filter=FILTER),
    "CompileContext": context_pb2.CompileContextRequest(
        scope=SARAH, filter=FILTER, settings=SETTINGS, budget=context_pb2.ContextBudget(max_characters=500)
    ),
    "ListTools": tool_pb2.ListToolsRequest(scope=SARAH, settings=SETTINGS),
    "AppendRun": session_pb2.AppendRunRequest(
        scope=SARAH,
        run=session_pb2.Run(
            session_id="s1",
            metadata={"b": "1", "a": "2", "c": "3"},
            messages=[
                said("I ski"),
                message_pb2.Message(
                    role=common_pb2.ROLE_TOOL,
                    time={"seconds": 1},
                    parts=[
                        message_pb2.Part(
                            tool_result=message_pb2.ToolResultPart(
                                call_id="c", parts=[message_pb2.Part(text=message_pb2.TextPart(text="ok"))]
                            )
                        )
                    ],
                ),
            ],
        ),
    ),
    "ExtractMemories": extraction_pb2.ExtractMemoriesRequest(
        scope=SARAH, messages=extraction_pb2.MessageList(messages=[said("I ski")]), validate_only=True
    ),
}


def messages_in(message: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Yield the message and all that are set in it, with their paths."""
    yield path, message
    for field, value in message.ListFields():
        kind = field.message_type
        if kind is None or kind.GetOptions().map_entry:
            continue
        for index, each in enumerate(value) if field.is_repeated else ((None, value),):
            name = field.name if index is None else f"{field.name}[{index}]"
            yield from messages_in(each, f"{path}.{name}" if path else name)


def spoilt(name: str) -> Iterator[tuple[str, bytes]]:
    """Yield the request with an unknown field in each of its messages, and where that is."""
    for path, _ in list(messages_in(FULL[name], "")):
        request = type(FULL[name])()
        request.CopyFrom(FULL[name])
        for each, message in list(messages_in(request, "")):
            if each == path:
                message.MergeFromString(UNKNOWN)
        yield path, request.SerializeToString()


def binds(path: str) -> bool:
    """Whether a part of a read says which things are meant, or what may be shown of them."""
    return path.split(".")[0] in ("filter", "settings")


@pytest.mark.parametrize("name", [name for name, rpc in RPCS.items() if rpc.writes])
async def test_a_write_with_a_field_that_is_not_known_is_refused_and_changes_nothing(
    server: Harness, name: str
) -> None:
    for path, raw in spoilt(name):
        failure = await send(server, RPCS[name], raw)
        assert (failure.code, failure.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "UNKNOWN_FIELD"), path
        assert failure.fields == (f"{path}.999" if path else "999",)

    assert (await server.application.users.latest(Scope("default", "sarah"))).state.tip.seq == 0


@pytest.mark.parametrize("name", [name for name, rpc in RPCS.items() if not rpc.writes])
async def test_a_read_ignores_what_it_does_not_know_but_for_its_filter_and_settings(server: Harness, name: str) -> None:
    rpc = RPCS[name]
    for path, raw in spoilt(name):
        if binds(path):
            failure = await send(server, rpc, raw)
            assert (failure.reason, failure.fields) == ("UNKNOWN_FIELD", (f"{path}.999",))
        elif rpc.streams and name == "WatchMemories":
            call = server.channel.unary_stream(f"/{rpc.service}/{rpc.name}")(raw)
            assert await call.read() is not grpc.aio.EOF
            call.cancel()
        elif name in ("GetMemory", "GetSession", "GetExtraction", "WatchExtraction"):
            assert (await send(server, rpc, raw)).code == grpc.StatusCode.NOT_FOUND
        else:
            await server.channel.unary_unary(f"/{rpc.service}/{rpc.name}")(raw)


@pytest.mark.parametrize("name", [name for name, rpc in RPCS.items() if rpc.writes])
async def test_a_write_may_be_encoded_in_any_way(server: Harness, name: str) -> None:
    """A map in any order, and a field that was sent twice, are no unknown fields."""
    # A scope with the user "other", or a namespace of that name.
    scope_first = {"scope": b"\x0a\x07\x12\x05other", "namespace": b"\x0a\x05other"}
    first = type(FULL[name]).DESCRIPTOR.fields_by_number[1].name
    raw = scope_first[first] + FULL[name].SerializeToString()

    path = f"/{RPCS[name].service}/{name}"
    call = server.channel.unary_stream(path)(raw) if RPCS[name].streams else server.channel.unary_unary(path)(raw)
    outcome = await asyncio.gather(call.read() if RPCS[name].streams else call, return_exceptions=True)
    call.cancel()

    failed = outcome[0] if isinstance(outcome[0], grpc.aio.AioRpcError) else None
    assert failed is None or failure_of(failed).reason in (
        "MEMORY_NOT_FOUND",
        "SESSION_NOT_FOUND",
        "EXTRACTION_NOT_FOUND",
    )


async def test_unpacked_lists_do_not_hide_a_field_of_the_same_length(server: Harness) -> None:
    """Unpacked, a list of one is a byte shorter: two of them make up for an unknown bool, if one compares sizes."""
    unpacked = b"\x08\x04" + b"\x50\x01"  # layers: [FEEDBACK], polarities: [POSITIVE]
    hidden = b"\x70\x01"  # field 14 as a number, where it is a message
    filter_ = unpacked + hidden
    raw = memory_pb2.ClearMemoriesRequest(scope=SARAH).SerializeToString() + b"\x12" + bytes([len(filter_)]) + filter_
    assert len(memory_pb2.ClearMemoriesRequest.FromString(raw).SerializeToString()) >= len(raw)

    failure = await failing(server.channel.unary_unary("/memsvc.v1.MemoryService/ClearMemories")(raw))

    assert failure.reason == "UNKNOWN_FIELD"


def test_every_filter_and_all_settings_of_every_read_are_checked() -> None:
    """Walk the descriptors: those that a new read has, wherever, must be found."""
    for name, rpc in RPCS.items():
        parts = set(parts_in(rpc.request.DESCRIPTOR, ()))
        assert not any("[]" in part for path in parts for part in path), f"{name}: what is in a list is not checked"
        if parts and not rpc.writes:
            assert read_check(rpc.request) is not None
            assert parts <= {("filter",), ("settings",)}, f"{name}: add a request with this to the tests above"
            assert {path[0] for path in parts} <= {path for path, _ in messages_in(FULL[name], "")}


def parts_in(message: Any, above: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    for field in message.fields:
        kind = field.message_type
        if kind is None or kind.full_name.startswith("google.") or len(above) > 4:
            continue
        path = (*above, field.name + "[]" * field.is_repeated)
        if kind.name.endswith(("Filter", "MemorySettings")):
            yield path
        else:
            yield from parts_in(kind, path)
