"""The API as JSON over HTTP: Connect's protocol, the same answers and errors as over gRPC."""

from __future__ import annotations

import asyncio
import base64
import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from memsvc.http.port import Answer
from memsvc.storage.driver import Driver
from memsvc.v1 import memory_pb2
from tests.integration.http.http_harness import JSON, Client, HttpHarness, enveloped, messages_in, served_http
from tests.integration.rpc.rpc_harness import SARAH, failing, new_request_id

SCOPE = {"userId": "sarah"}
CREATE = "MemoryService/CreateMemory"
LIST = "MemoryService/ListMemories"
WATCH = "/memsvc.v1.MemoryService/WatchMemories"
STREAM = {"Content-Type": "application/connect+json"}


def lisbon(**more: Any) -> dict[str, Any]:
    return {"scope": SCOPE, "memory": {"text": "Lives in Lisbon", **more}}


async def test_what_is_written_over_http_is_read_over_grpc(http: HttpHarness) -> None:
    written = await http.call(CREATE, lisbon(metadata={"a": "b"}, layer="LAYER_PROFILE", topics=["home"]))
    listed = await http.rpc.memories.ListMemories(memory_pb2.ListMemoriesRequest(scope=SARAH))

    assert (written.status, written.headers["content-type"]) == (200, "application/json")
    assert [memory.text for memory in listed.memories] == ["Lives in Lisbon"]
    assert written.json["memory"]["memoryId"] == listed.memories[0].memory_id
    assert written.json["revision"] == "1"


async def test_both_spellings_of_a_name_are_read(http: HttpHarness) -> None:
    reply = await http.call(CREATE, {"scope": {"user_id": "sarah"}, "memory": {"text": "x"}, "request_id": ""})

    assert reply.status == 200


@pytest.mark.parametrize(
    ("method", "request_json", "status", "code", "reason", "field"),
    [
        (CREATE, {"scope": SCOPE, "memory": {"txt": "x"}}, 400, "invalid_argument", "UNKNOWN_FIELD", "memory.txt"),
        (CREATE, {"scope": SCOPE, "memory": {"text": 7}}, 400, "invalid_argument", "INVALID_FIELD", "memory.text"),
        (CREATE, {"scope": SCOPE, "memory": {"text": ""}}, 400, "invalid_argument", "INVALID_FIELD", "memory.text"),
        (CREATE, {"memory": {"text": "x"}}, 400, "invalid_argument", "INVALID_FIELD", "scope.user_id"),
        (LIST, {"scope": SCOPE, "filter": {"layer": 1}}, 400, "invalid_argument", "UNKNOWN_FIELD", "filter.layer"),
        (LIST, {"scope": SCOPE, "pageSize": "many"}, 400, "invalid_argument", "INVALID_FIELD", "page_size"),
        (LIST, {"scope": SCOPE, "filter": {"layers": ["X"]}}, 400, "invalid_argument", "INVALID_FIELD", None),
        ("MemoryService/GetMemory", {"scope": SCOPE, "memoryId": "m"}, 404, "not_found", "MEMORY_NOT_FOUND", None),
    ],
)
async def test_errors_are_those_of_grpc(
    http: HttpHarness, method: str, request_json: Any, status: int, code: str, reason: str, field: str | None
) -> None:
    reply = await http.call(method, request_json)

    assert (reply.status, reply.json["code"], reply.reason) == (status, code, reason)
    assert reply.headers["content-type"] == "application/json"
    if field is not None:
        assert reply.fields == [field]


async def test_the_details_are_the_same_bytes_as_over_grpc(http: HttpHarness) -> None:
    over_http = await http.call("MemoryService/GetMemory", {"scope": SCOPE, "memoryId": "m"})
    over_grpc = await failing(http.rpc.memories.GetMemory(memory_pb2.GetMemoryRequest(scope=SARAH, memory_id="m")))

    assert over_http.json["message"] == over_grpc.message
    assert over_http.reason == over_grpc.reason
    packed = base64.b64decode(over_http.json["details"][0]["value"] + "==")
    assert over_grpc.reason.encode() in packed


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'"x"', b"\xff", b'{"a":1,"a":2}', b"{}x", b"[" * 9_000])
async def test_what_is_no_request_is_told_so(http: HttpHarness, body: bytes) -> None:
    reply = await http.ask("POST", f"/memsvc.v1.{CREATE}", body, JSON)

    assert (reply.status, reply.json["code"], reply.reason) == (400, "invalid_argument", "INVALID_FIELD")
    assert "Traceback" not in reply.json["message"]


async def test_a_generated_client_may_be_newer_where_it_reads(http: HttpHarness) -> None:
    newer = {"scope": SCOPE, "shinyNewField": True}
    by_hand = await http.call(LIST, newer)
    generated = await http.call(LIST, newer, {"Connect-Protocol-Version": "1"})
    writing = await http.call(CREATE, {**lisbon(), "shinyNewField": 1}, {"Connect-Protocol-Version": "1"})

    assert (by_hand.status, by_hand.reason) == (400, "UNKNOWN_FIELD")
    assert generated.status == 200
    assert (writing.status, writing.fields) == (400, ["shinyNewField"])


async def test_protobuf_is_understood_as_well(http: HttpHarness) -> None:
    request = memory_pb2.CreateMemoryRequest(scope=SARAH, memory=memory_pb2.Memory(text="x"))
    kind = {"Content-Type": "application/proto"}
    reply = await http.ask("POST", f"/memsvc.v1.{CREATE}", request.SerializeToString(), kind)

    assert reply.headers["content-type"] == "application/proto"
    assert memory_pb2.CreateMemoryResponse.FromString(reply.body).memory.text == "x"


async def test_what_has_no_side_effects_can_be_got(http: HttpHarness) -> None:
    await http.call(CREATE, lisbon())
    message = json.dumps({"scope": SCOPE})
    encoded = base64.urlsafe_b64encode(message.encode()).decode().rstrip("=")
    path = f"/memsvc.v1.{LIST}"
    plain = await http.ask("GET", f"{path}?connect=v1&encoding=json&message={quote(message)}")
    in_base64 = await http.ask("GET", f"{path}?encoding=json&base64=1&message={encoded}")
    writing = await http.ask("GET", f"/memsvc.v1.{CREATE}?encoding=json&message={quote(json.dumps(lisbon()))}")

    assert plain.json["totalSize"] == in_base64.json["totalSize"] == 1
    assert (writing.status, writing.headers["allow"]) == (405, "POST, OPTIONS")
    assert (await http.call(LIST, {"scope": SCOPE})).json["totalSize"] == 1


async def test_what_is_not_connect_is_refused_with_what_would_be(http: HttpHarness) -> None:
    path = f"/memsvc.v1.{CREATE}"
    body = json.dumps(lisbon()).encode()
    text = await http.ask("POST", path, body, {"Content-Type": "text/plain"})
    as_stream = await http.ask("POST", path, enveloped(lisbon()), STREAM)
    packed = await http.ask("POST", path, body, {**JSON, "Content-Encoding": "gzip"})
    version = await http.ask("POST", path, body, {**JSON, "Connect-Protocol-Version": "2"})
    unknown = await http.call("MemoryService/Forge", {})

    assert (text.status, text.headers["accept-post"]) == (415, "application/json, application/proto")
    assert as_stream.status == 415
    assert (packed.status, packed.json["code"]) == (501, "unimplemented")
    assert (version.status, version.json["code"]) == (400, "invalid_argument")
    assert (unknown.status, unknown.json["code"], unknown.reason) == (404, "unimplemented", "NOT_SUPPORTED")


async def test_what_speaks_both_ways_is_left_to_grpc(http: HttpHarness) -> None:
    reply = await http.ask("POST", "/memsvc.v1.ExtractionService/ObserveConversation", enveloped({}), STREAM)

    assert (reply.json["code"], reply.reason) == ("unimplemented", "NOT_SUPPORTED")


async def test_a_stream_is_enveloped_and_ends_with_how_it_ended(http: HttpHarness) -> None:
    await http.call(CREATE, lisbon())
    client = await http.connect()
    request = enveloped({"scope": SCOPE, "sendInitial": True})
    head = f"POST {WATCH} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/connect+json\r\n"
    await client.send(f"{head}Content-Length: {len(request)}\r\n\r\n".encode() + request)
    status, headers = await client.head()
    first, second = await client.chunk(), await client.chunk()
    draining = asyncio.create_task(http.port.drain(5))
    http.rpc.edge.start_draining()
    last = await client.chunk()
    await draining

    assert (status, headers["content-type"]) == (200, "application/connect+json")
    assert messages_in(first)[0][1]["initial"]["text"] == "Lives in Lisbon"
    assert "initialDone" in messages_in(second)[0][1]
    flags, end = messages_in(last)[0]
    assert (flags, end["error"]["code"]) == (2, "unavailable")
    assert end["error"]["details"][0]["debug"]["reason"] == "SERVER_DRAINING"


async def test_a_stream_that_is_refused_ends_with_the_error(http: HttpHarness) -> None:
    wrong = await http.ask("POST", WATCH, enveloped({"scope": {"userId": 1}}), STREAM)
    not_there = await http.ask(
        "POST",
        "/memsvc.v1.ExtractionService/WatchExtraction",
        enveloped({"scope": SCOPE, "extractionId": "e"}),
        STREAM,
    )

    assert wrong.status == not_there.status == 200
    assert messages_in(wrong.body)[0][1]["error"]["code"] == "invalid_argument"
    assert messages_in(not_there.body)[-1][1]["error"]["code"] == "not_found"


@pytest.mark.parametrize("body", [b"", b"\0\0", b"\1\0\0\0\2{}", b"\0\0\0\0\x09{}", enveloped({}) * 2, b"\2\0\0\0\2{}"])
async def test_a_broken_envelope_ends_the_stream_with_an_error(http: HttpHarness, body: bytes) -> None:
    reply = await http.ask("POST", WATCH, body, STREAM)

    flags, end = messages_in(reply.body)[-1]
    assert (flags, end["error"]["code"] in ("invalid_argument", "unimplemented")) == (2, True)


async def test_extraction_streams_what_is_learned(http: HttpHarness) -> None:
    message = {"role": "ROLE_USER", "parts": [{"text": {"text": "I live in Porto"}}]}
    request = {"scope": SCOPE, "messages": {"messages": [message]}, "requestId": new_request_id()}
    reply = await http.ask("POST", "/memsvc.v1.ExtractionService/ExtractMemories", enveloped(request), STREAM)
    *events, (flags, end) = messages_in(reply.body)

    kinds = [next(kind for kind in each["event"] if kind not in ("number", "resumeToken")) for _, each in events]
    assert (kinds[0], kinds[-2:], flags, end) == ("accepted", ["committed", "completed"], 2, {})


async def test_a_call_ends_when_its_client_says(http: HttpHarness) -> None:
    http.rpc.driver.fast.clear()
    unary = await http.call(LIST, {"scope": SCOPE}, {"Connect-Timeout-Ms": "300"})
    http.rpc.driver.fast.set()
    stream = await http.ask("POST", WATCH, enveloped({"scope": SCOPE}), {**STREAM, "Connect-Timeout-Ms": "300"})
    wrong = await http.call(LIST, {"scope": SCOPE}, {"Connect-Timeout-Ms": "soon"})

    assert (unary.status, unary.json["code"], unary.reason) == (503, "unavailable", "STORAGE_UNAVAILABLE")
    assert messages_in(stream.body)[-1][1]["error"]["code"] == "deadline_exceeded"
    assert (wrong.status, wrong.json["code"]) == (400, "invalid_argument")


async def test_a_call_whose_client_goes_is_cancelled(http: HttpHarness) -> None:
    http.rpc.driver.fast.clear()
    client = await http.connect()
    body = json.dumps({"scope": SCOPE}).encode()
    head = f"POST /memsvc.v1.{LIST} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    await client.send(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
    async with asyncio.timeout(20):
        while not http.port.calls_under_way:
            await asyncio.sleep(0.01)
        await client.close()
        while http.port.calls_under_way:
            await asyncio.sleep(0.01)

    assert not http.rpc.driver.fast.is_set()


async def test_an_internal_error_says_nothing(http: HttpHarness, caplog: pytest.LogCaptureFixture) -> None:
    http.rpc.driver.broken = RuntimeError("secret of sarah")
    reply = await http.call(LIST, {"scope": SCOPE})

    assert (reply.status, reply.json["code"], reply.reason) == (500, "internal", "INTERNAL")
    assert b"secret" not in reply.body


async def test_a_large_list_is_the_same_in_json(http: HttpHarness) -> None:
    operations = [{"create": {"memory": {"text": f"Fact {index} " + "x" * 400}}} for index in range(800)]
    written = await http.call("MemoryService/BatchWriteMemories", {"scope": SCOPE, "operations": operations})
    listed = await http.call(LIST, {"scope": SCOPE, "pageSize": 1000})

    assert written.status == 200
    assert len({memory["text"] for memory in listed.json["memories"]}) == 800


async def test_off_the_api_only_health_is_left(driver: Driver, folder: Path) -> None:
    async with served_http(driver, folder, http_listen="0.0.0.0:0", http_api=False) as http:
        live, called = await http.ask("GET", "/livez"), await http.call(LIST, {"scope": SCOPE})

    assert (live.status, called.status) == (200, 404)


@pytest.mark.parametrize("processes", [1, 2])
async def test_all_addresses_are_those_of_ipv4_as_well(driver: Driver, folder: Path, processes: int) -> None:
    settings = {"http_listen": "[::]:0", "http_api": False, "processes": processes}
    async with served_http(driver, folder, **settings) as http:
        port = int(http.port.address.rpartition(":")[2])
        for host in ("127.0.0.1", "::1"):
            client = Client(*await asyncio.open_connection(host, port))
            assert (await client.ask("GET", "/livez")).status == 200
            await client.close()


async def test_a_page_that_fails_is_told_to_have_failed(
    driver: Driver, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def failing_page() -> Answer:
        raise KeyError("secret")

    async with served_http(driver, folder, {"/broken": failing_page}) as http:
        reply = await http.ask("GET", "/broken")
        again = await http.ask("GET", "/livez")

    assert (reply.status, reply.json["code"], reply.reason) == (500, "internal", "INTERNAL")
    assert b"secret" not in reply.body
    assert again.status == 200
    assert "call_failed" in caplog.text
