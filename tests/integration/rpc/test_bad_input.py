"""Every RPC with every kind of bad input: INVALID_ARGUMENT, the field named, nothing changed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.timestamp_pb2 import Timestamp
from rpc_harness import Failure, Harness, failing, said
from valid_requests import MASK, MEMORY, RPCS, VALID, Spoil, put, without

from memsvc.model import Scope
from memsvc.rpc.calling import Rpc
from memsvc.v1 import common_pb2, context_pb2, extraction_pb2, memory_pb2, message_pb2

LONG = "x" * 257


def everywhere(rpc: Rpc) -> Iterator[tuple[Spoil, str]]:
    """Yield what can be wrong with fields that many requests have."""
    fields = rpc.request.DESCRIPTOR.fields_by_name
    if "scope" in fields:
        yield without("scope"), "scope.user_id"
        yield put("scope.user_id", LONG), "scope.user_id"
        yield put("scope.user_id", "a\nb"), "scope.user_id"
        yield put("scope.user_id", "é" * 129), "scope.user_id"
        yield put("scope.namespace", LONG), "scope.namespace"
        yield put("scope.namespace", "\u202e"), "scope.namespace"
    if "request_id" in fields:
        yield put("request_id", "no uuid"), "request_id"
        yield put("request_id", "0192a0b4-0000-7000-8000-00000000000g"), "request_id"
    if "expected_revision" in fields:
        yield put("expected_revision", -1), "expected_revision"
    if "page_size" in fields:
        yield put("page_size", -1), "page_size"
    for name in ("page_token", "resume_token"):
        if name in fields:
            yield put(name, "é"), name
            yield put(name, "AAAA"), name
            yield put(name, "x" * 10_000), name
            yield put(name, "WyIwMTIzNDU2Nzg5YWJjZGVmIixbMV1d"), name
    if "consistency" in fields:
        yield put("consistency.latest", False), "consistency.latest"
        yield put("consistency.at_least_revision", -1), "consistency.at_least_revision"
        yield put("consistency.max_staleness", Duration(seconds=-1)), "consistency.max_staleness"
        yield put("consistency.max_staleness", Duration(seconds=1, nanos=-1)), "consistency.max_staleness"
    if "shared_user_ids" in fields:
        yield put("shared_user_ids", ["a", ""]), "shared_user_ids[1]"
        yield put("shared_user_ids", [str(index) for index in range(9)]), "shared_user_ids"
        yield put("shared_user_ids", ["sarah"]), "shared_user_ids[0]"
    if "filter" in fields:
        yield from filters()
    if "wait_for_learning" in fields:
        yield put("wait_for_learning", Duration(seconds=-1)), "wait_for_learning"
        yield put("wait_for_learning", Duration(nanos=-1)), "wait_for_learning"
        yield put("wait_for_learning", Duration(seconds=10_000)), "wait_for_learning"


def filters() -> Iterator[tuple[Spoil, str]]:
    for name, value, field in (
        ("layers", [99], "layers[0]"),
        ("layers", [1, 0], "layers[1]"),
        ("topics_any", ["a", "b", ""], "topics_any[2]"),
        ("topics_all", ["x" * 65], "topics_all[0]"),
        ("topics_any", ["x"] * 101, "topics_any"),
        ("layers", [1] * 101, "layers"),
        ("engines", ["x"] * 101, "engines"),
        ("key_path", "a..b", "key_path"),
        ("text_contains", "x" * 8193, "text_contains"),
        ("text_contains", "\0", "text_contains"),
        ("agent_ids", [LONG], "agent_ids[0]"),
        ("team_ids", [""], "team_ids[0]"),
        ("session_ids", ["a\tb"], "session_ids[0]"),
        ("trusts", [1, 77], "trusts[1]"),
        ("polarities", [5], "polarities[0]"),
        ("engines", [LONG], "engines[0]"),
        ("metadata", {"a": "x" * 5000}, "metadata"),
        ("memory_ids", ["x"] * 101, "memory_ids"),
        ("config_before", -1, "config_before"),
    ):
        yield put(f"filter.{name}", value), f"filter.{field}"
    for name in ("create_time", "update_time", "observe_time"):
        for end in ("start_time", "end_time"):
            too_late = Timestamp(seconds=253_402_300_800)
            yield put(f"filter.{name}.{end}", too_late), f"filter.{name}.{end}"


def memories(path: str) -> Iterator[tuple[str, object, str]]:
    """Yield what can be wrong with a memory that is written."""
    for name, value, field in (
        ("memory_id", LONG, "memory_id"),
        ("memory_id", "a\0b", "memory_id"),
        ("layer", 99, "layer"),
        ("text", "", "text"),
        ("text", " \n", "text"),
        ("text", "x" * 8193, "text"),
        ("text", "é" * 4097, "text"),
        ("text", "a\0b", "text"),
        ("key", "1a", "key"),
        ("key", "a..b", "key"),
        ("key", "a." * 100 + "b", "key"),
        ("value_json", "{", "value_json"),
        ("value_json", "NaN", "value_json"),
        ("value_json", "[" * 5000, "value_json"),
        ("topics", ["x"] * 33, "topics"),
        ("topics", ["a", "x" * 65], "topics[1]"),
        ("topics", [""], "topics[0]"),
        ("input", "x" * 8193, "input"),
        ("origin.agent_id", LONG, "origin.agent_id"),
        ("origin.author_id", "\n", "origin.author_id"),
        ("trust", 99, "trust"),
        ("polarity", 99, "polarity"),
        ("metadata", {"a": "x" * 4096}, "metadata"),
        ("observe_time", Timestamp(seconds=253_402_300_800), "observe_time"),
        ("observe_time", Timestamp(nanos=-1), "observe_time"),
        ("expire_time", Timestamp(seconds=-62_135_596_801), "expire_time"),
        ("expire_time", Timestamp(seconds=-5), "expire_time"),
        ("ttl", Duration(seconds=-1), "ttl"),
        ("ttl", Duration(), "ttl"),
        ("ttl", Duration(seconds=86_400 * 3_651), "ttl"),
        ("ttl", Duration(seconds=1, nanos=-1), "ttl"),
    ):
        yield f"{path}.{name}", value, field


def targets(path: str) -> Iterator[tuple[Spoil, str]]:
    prefix = path.replace("operations.0.", "operations[0].")
    yield put(f"{path}memory_id", ""), f"{prefix}memory_id"
    yield put(f"{path}memory_id", LONG), f"{prefix}memory_id"
    yield put(f"{path}address", memory_pb2.KeyAddress(key="role")), f"{prefix}address.layer"
    yield put(f"{path}address", memory_pb2.KeyAddress(layer=99, key="role")), f"{prefix}address.layer"  # type: ignore[arg-type]
    yield put(f"{path}address", memory_pb2.KeyAddress(layer=common_pb2.LAYER_PROFILE)), f"{prefix}address.key"


def masks(path: str) -> Iterator[tuple[Spoil, str]]:
    prefix = path.replace("operations.0.", "operations[0].")
    yield put(f"{path}update_mask", FieldMask()), f"{prefix}update_mask"
    yield put(f"{path}update_mask", FieldMask(paths=["*", "text"])), f"{prefix}update_mask"
    for name in ("number", "etag", "key", "layer", "memory_id", "origin", "create_time", "metadata.a", "nothing", ""):
        spoilt = FieldMask(paths=["text", name])
        yield put(f"{path}update_mask", spoilt), f"{prefix}update_mask.paths[1]"


JSON = ".provider.json"
NO_JSON = ("", "not json", "{", "{'a': 1}", "NaN", '{"a": Infinity}', "{} {}", "[" * 5000)


def answer(parts: list[message_pb2.Part]) -> message_pb2.Part:
    return message_pb2.Part(tool_result=message_pb2.ToolResultPart(call_id="c1", parts=parts))


def asking(arguments_json: str) -> message_pb2.Part:
    return message_pb2.Part(tool_call=message_pb2.ToolCallPart(id="c1", name="look", arguments_json=arguments_json))


def own_form(json: str, provider: str = "openai") -> message_pb2.Part:
    return message_pb2.Part(provider=message_pb2.ProviderPart(provider=provider, json=json))


def messages(path: str, field: str) -> Iterator[tuple[Spoil, str]]:
    part = message_pb2.Part(text=message_pb2.TextPart(text="x"))
    user = common_pb2.ROLE_USER
    for spoilt, name in (
        (message_pb2.Message(parts=[part]), "[0].role"),
        (message_pb2.Message(role=9, parts=[part]), "[0].role"),  # type: ignore[arg-type]
        (message_pb2.Message(role=user), "[0].parts"),
        (message_pb2.Message(role=user, parts=[part, message_pb2.Part()]), "[0].parts[1]"),
        (message_pb2.Message(role=user, parts=[part], message_id=LONG), "[0].message_id"),
        (message_pb2.Message(role=user, parts=[part], name="a\nb"), "[0].name"),
        (message_pb2.Message(role=user, parts=[part], time=Timestamp(seconds=1 << 60)), "[0].time"),
        (said("a\0b"), "[0].parts[0]"),
        (message_pb2.Message(role=user, parts=[part] * 1001), "[0].parts"),
        (message_pb2.Message(role=user, parts=[part, answer([part] * 999)]), "[0].parts"),
        (message_pb2.Message(role=user, parts=[answer([part, answer([part])])]), "[0].parts[0].tool_result.parts[1]"),
        (message_pb2.Message(role=user, parts=[answer([asking("{}")])]), "[0].parts[0].tool_result.parts[0]"),
        (message_pb2.Message(role=user, parts=[answer([own_form("{")])]), f"[0].parts[0].tool_result.parts[0]{JSON}"),
        *((message_pb2.Message(role=user, parts=[part, own_form(bad)]), f"[0].parts[1]{JSON}") for bad in NO_JSON),
        *(
            (message_pb2.Message(role=user, parts=[asking(bad)]), "[0].parts[0].tool_call.arguments_json")
            for bad in (*NO_JSON[1:], "[1]", '"a"', "1", "null", "true")
        ),
        (message_pb2.Message(role=user, parts=[own_form("{}", LONG)]), "[0].parts[0].provider.provider"),
        (said("x" * 262_145), "[0]"),
    ):
        yield put(path, [spoilt]), f"{field}{name}"
    yield put(path, []), field
    yield put(path, [said("x")] * 1001), field
    yield put(path, [said("x" * 250_000)] * 9), field


def own(name: str) -> Iterator[tuple[Spoil, str]]:
    """Yield what can be wrong with fields of one request."""
    if name == "CreateMemory":
        yield without("memory"), "memory.text"
        yield put("memory.value_json", "1"), "memory.value_json"
        yield put("memory.polarity", common_pb2.POLARITY_POSITIVE), "memory.polarity"
        for path, value, field in memories("memory"):
            yield put(path, value), f"memory.{field}"
    elif name == "UpdateMemory":
        yield put("memory.memory_id", ""), "memory.memory_id"
        yield put("memory.etag", LONG), "memory.etag"
        yield from masks("")
        for path, value, field in memories("memory"):
            yield put(path, value), f"memory.{field}"
    elif name == "BatchWriteMemories":
        yield from batches()
    elif name in ("GetMemory", "DeleteMemory"):
        yield without("memory_id"), "target"
        yield from targets("")
        if name == "DeleteMemory":
            yield put("etag", LONG), "etag"
    elif name == "ListMemories":
        yield put("order", 99), "order"
    elif name == "SearchMemories":
        yield put("query", ""), "query"
        yield put("query", "x" * 8193), "query"
        yield put("top_k", -1), "top_k"
        yield put("top_k", 101), "top_k"
        yield put("min_score", -0.1), "min_score"
        yield put("min_score", float("nan")), "min_score"
        yield put("method", 99), "method"
    elif name == "ClearMemories":
        yield without("filter"), "filter"
        yield put("all", True), "filter"
    elif name == "RestoreMemories":
        yield without("to_revision"), "target"
        yield put("to_revision", -1), "to_revision"
        yield put("revert_revision", 1), "memory_ids"
        yield put("memory_ids", []), "memory_ids"
        yield put("all", True), "memory_ids"
        yield put("memory_ids", ["m1", LONG]), "memory_ids[1]"
        yield put("memory_ids", [f"m{number}" for number in range(1_001)]), "memory_ids"
    elif name == "GetUserMemory":
        yield put("layers", [1, 99]), "layers[1]"
    elif name == "ListMemoryChanges":
        yield put("memory_id", LONG), "memory_id"
    elif name == "AppendRun":
        yield from runs()
    elif name in ("GetHistory", "GetSession", "DeleteSession", "SummarizeSession"):
        yield put("session_id", ""), "session_id"
        yield put("session_id", LONG), "session_id"
        if name == "GetHistory":
            yield put("last_runs", -1), "last_runs"
            yield put("last_runs", 1001), "last_runs"
            yield put("roles", [2, 9]), "roles[1]"
        if name == "DeleteSession":
            yield put("purge", True), "purge"
    elif name == "SearchHistory":
        yield put("query", " "), "query"
        yield put("query", "x" * 8193), "query"
        yield put("top_k", -1), "top_k"
        yield put("top_k", 101), "top_k"
        yield put("beside_count", 11), "beside_count"
        yield put("beside_count", -1), "beside_count"
        yield put("min_score", 1.5), "min_score"
        yield put("min_score", float("nan")), "min_score"
        yield put("session_ids", ["a", ""]), "session_ids[1]"
        yield put("agent_ids", ["a"] * 101), "agent_ids"
        yield put("roles", [2, 9]), "roles[1]"
    elif name == "ListRuns":
        yield put("session_id", LONG), "session_id"
    elif name == "ExtractMemories":
        yield without("messages"), "source"
        yield put("agent_id", LONG), "agent_id"
        yield put("team_id", "\n"), "team_id"
        yield put("runs", extraction_pb2.RunList()), "runs.run_ids"
        yield put("runs.run_ids", ["a", ""]), "runs.run_ids[1]"
        yield put("runs.run_ids", ["a"] * 101), "runs.run_ids"
        yield from messages("messages.messages", "messages.messages")
    elif name in ("WatchExtraction", "GetExtraction", "CancelExtraction"):
        yield put("extraction_id", ""), "extraction_id"
        yield put("extraction_id", LONG), "extraction_id"
    elif name == "ListExtractions":
        yield put("states", [1, 99]), "states[1]"
        yield put("session_id", LONG), "session_id"
    elif name == "RetryExtractions":
        yield put("extraction_ids", ["a", ""]), "extraction_ids[1]"
        yield put("extraction_ids", ["a"] * 101), "extraction_ids"
    elif name == "CompileContext":
        yield from contexts()
    elif name == "ListUsers":
        yield put("namespace", LONG), "namespace"
    elif name in ("GetMemoryConfig", "UpdateMemoryConfig"):
        yield put("namespace", LONG), "namespace"
        yield put("agent_id", LONG), "agent_id"
        if name == "UpdateMemoryConfig":
            yield from configurations()


def configurations() -> Iterator[tuple[Spoil, str]]:
    yield put("etag", LONG), "etag"
    yield put("update_mask.paths", []), "update_mask"
    yield put("update_mask.paths", ["*", "mode"]), "update_mask"
    yield put("update_mask.paths", ["mode"] * 101), "update_mask"
    yield put("update_mask.paths", ["profile.schemaJson"]), "update_mask.paths[0]"
    yield put("update_mask.paths", ["mode", "layers"]), "update_mask.paths[1]"
    yield put("settings.mode", 99), "settings.mode"
    yield put("settings.capture_instructions", "x" * 8193), "settings.capture_instructions"
    yield put("settings.policy.prompt", "a\0b"), "settings.policy.prompt"
    yield put("settings.profile.capture_instructions", "é" * 4097), "settings.profile.capture_instructions"
    yield put("settings.retention.runs.seconds", -1), "settings.retention.runs"
    yield put("settings.retention.history.nanos", 2_000_000_000), "settings.retention.history"
    field = "settings.feedback.schema_json"
    for schema_json, wrong in (
        ("{", field),
        ("[]", field),
        ('{"type": "string"}', f"{field}.type"),
        ('{"properties": {"a": {"type": "int"}}}', f"{field}.properties.a.type"),
        ('{"properties": {"a": {"pattern": "^x"}}}', f"{field}.properties.a.pattern"),
        ('{"properties": {"a": {"$ref": "https://a.b/c"}}}', f"{field}.properties.a.$ref"),
        ('{"properties": {"a": {"$ref": "#/$defs/B"}}}', f"{field}.properties.a.$ref"),
        ('{"properties": {"a b": {}}}', f"{field}.properties.a b"),
        ('{"additionalProperties": 1}', f"{field}.additionalProperties"),
        (f'{{"description": "{"x" * 20_000}"}}', field),
    ):
        yield put(field, schema_json), wrong


def batches() -> Iterator[tuple[Spoil, str]]:
    operation, create = memory_pb2.BatchWriteOperation, memory_pb2.CreateOperation
    update = memory_pb2.UpdateOperation(memory=MEMORY, update_mask=MASK)
    delete = memory_pb2.DeleteOperation(memory_id="m1")
    good = operation(create=create(memory=memory_pb2.Memory(text="x")))
    bad_key = operation(create=create(memory=memory_pb2.Memory(text="x", key="1")))
    missing = operation(delete=memory_pb2.DeleteOperation())
    yield put("operations", []), "operations"
    yield put("operations", [good] * 1001), "operations"
    yield put("operations", [good, operation()]), "operations[1].operation"
    yield put("operations", [good, good, good, bad_key]), "operations[3].create.memory.key"
    yield put("operations", [good, missing]), "operations[1].delete.target"
    yield put("operations", [operation(delete=delete), operation(update=update)]), "operations[1]"
    for path, value, field in memories("operations.0.create.memory"):
        yield put(path, value), f"operations[0].create.memory.{field}"
    for spoil, field in masks("operations.0.update."):
        yield both(put("operations", [operation(update=update)]), spoil), field
    for spoil, field in targets("operations.0.delete."):
        yield both(put("operations", [operation(delete=delete)]), spoil), field


def both(first: Spoil, second: Spoil) -> Spoil:
    return lambda request: (first(request), second(request))


def runs() -> Iterator[tuple[Spoil, str]]:
    yield without("run"), "run.session_id"
    for name in ("session_id", "run_id", "agent_id", "team_id", "replaces_run_id"):
        yield put(f"run.{name}", LONG), f"run.{name}"
    yield both(put("run.run_id", "r1"), put("run.replaces_run_id", "r1")), "run.replaces_run_id"
    yield put("run.metadata", {"a": "x" * 4096}), "run.metadata"
    yield put("run.context_memory_ids", ["a", ""]), "run.context_memory_ids[1]"
    yield put("learning_mode", 99), "learning_mode"
    yield from messages("run.messages", "run.messages")


def contexts() -> Iterator[tuple[Spoil, str]]:
    yield put("layers", [0]), "layers[0]"
    yield put("query", "x" * 8193), "query"
    yield put("format", 9), "format"
    yield put("etag", LONG), "etag"
    yield put("budget.max_characters", 199), "budget.max_characters"
    yield put("budget.max_characters", 1_000_001), "budget.max_characters"
    yield put("budget.max_characters", -1), "budget.max_characters"
    yield put("budget.max_tokens", 0), "budget.max_tokens"
    yield put("budget.max_tokens", 250_001), "budget.max_tokens"
    yield put("budget.token_counter", "cl100k"), "budget.token_counter"
    yield put("history", context_pb2.ContextHistory()), "history.session_id"
    yield put("history", context_pb2.ContextHistory(session_id="s", last_runs=101)), "history.last_runs"
    yield put("history", context_pb2.ContextHistory(session_id="s", last_runs=-1)), "history.last_runs"
    yield put("history", context_pb2.ContextHistory(session_id="s", max_characters=-1)), "history.max_characters"


async def send(server: Harness, rpc: Rpc, raw: bytes) -> Failure:
    path = f"/{rpc.service}/{rpc.name}"
    call = server.channel.unary_stream(path) if rpc.streams else server.channel.unary_unary(path)
    return await failing(call(raw, timeout=10))


def test_every_rpc_is_in_the_table() -> None:
    assert VALID.keys() == RPCS.keys()


@pytest.mark.parametrize("name", VALID)
async def test_bad_input_names_its_field_and_changes_nothing(server: Harness, name: str) -> None:
    rpc, wrong = RPCS[name], []
    for spoil, field in (*everywhere(rpc), *own(name)):
        request = rpc.request()
        request.CopyFrom(VALID[name])
        spoil(request)
        failure = await send(server, rpc, request.SerializeToString())
        if (failure.code, failure.fields) != (grpc.StatusCode.INVALID_ARGUMENT, (field,)):
            wrong.append((field, failure))

    assert wrong == []
    assert (await server.application.users.latest(Scope("default", "sarah"))).state.tip.seq == 0


@pytest.mark.parametrize("name", VALID)
async def test_bytes_that_are_no_request_are_refused(server: Harness, name: str) -> None:
    rpc = RPCS[name]
    bad_utf8 = b"\x0a\x04\x12\x02\xff\xfe" if "scope" in rpc.request.DESCRIPTOR.fields_by_name else b"\x0a\x80"
    for raw in (b"\x0a", b"\xff\xff\xff", bad_utf8):
        failure = await send(server, rpc, raw)
        assert (failure.code, failure.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD")
        assert failure.message == f"request is no {rpc.request.DESCRIPTOR.name}"


OF_THE_PRESENT = ("GetStats", "SearchHistory", "GetMemoryConfig")


@pytest.mark.parametrize("name", OF_THE_PRESENT)
async def test_only_memories_have_a_past(server: Harness, name: str) -> None:
    for spoil, field in (
        (put("consistency.as_of_revision", 1), "consistency.as_of_revision"),
        (put("consistency.as_of_time", Timestamp(seconds=1)), "consistency.as_of_time"),
    ):
        request: Any = RPCS[name].request()
        request.CopyFrom(VALID[name])
        spoil(request)
        failure = await send(server, RPCS[name], request.SerializeToString())
        assert (failure.code, failure.reason) == (grpc.StatusCode.UNIMPLEMENTED, "NOT_SUPPORTED")
        assert failure.fields == (field,)
