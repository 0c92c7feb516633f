"""What clients send that mean no good: an answer that says so, a closed connection, and nothing held for long."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from pathlib import Path

import pytest

from memsvc.http import connection
from memsvc.http.connection import MAX_HEAD_BYTES
from memsvc.storage.driver import Driver
from tests.integration.http.http_harness import JSON, SECONDS, Client, HttpHarness, served_http

LIST = b"POST /memsvc.v1.MemoryService/ListMemories HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
ASKED = b'{"scope":{"userId":"sarah"}}'
LIVE = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n"


async def until_closed(client: Client, data: bytes, seconds: float) -> None:
    """Send the same again and again, until the server has had enough."""
    async with asyncio.timeout(SECONDS):
        with contextlib.suppress(ConnectionError):
            while not client.reader.at_eof():
                await client.send(data)
                await asyncio.sleep(seconds)


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (LIST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (LIST + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n", 400),
        (LIST + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", 400),
        (LIST + b"Content-Length: 3, 3\r\n\r\nabc", 400),
        (LIST + b"Content-Length: -1\r\n\r\n", 400),
        (LIST + b"Content-Length: +3\r\n\r\nabc", 400),
        (LIST + b"Content-Length: 99999999999999999999\r\n\r\n", 400),
        (LIST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 501),
        (LIST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501),
        (LIST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (LIST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n\r\n", 400),
        (LIST + b"Transfer-Encoding: chunked\r\n\r\n-5\r\nabcde\r\n", 400),
        (LIST + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n", 400),
        (LIST + b"Transfer-Encoding: chunked\r\n\r\n3\nabc\n0\n\n", 400),
        (b"GET /livez HTTP/1.1\r\n\r\n", 400),
        (b"GET /livez HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n", 400),
        (b"GET /livez HTTP/1.1\r\nHost : localhost\r\n\r\n", 400),
        (b"GET /livez HTTP/1.1\r\nHost: localhost\r\n folded\r\n\r\n", 400),
        (b"GET /livez HTTP/1.1\nHost: localhost\n\n", 400),
        (b"GET /livez HTTP/1.1\r\nHost: localhost\r\nX: a\0b\r\n\r\n", 400),
        (b"GET /livez HTTP/9.9\r\nHost: localhost\r\n\r\n", 400),
        (b"GET /livez HTTP/2.0\r\nHost: localhost\r\n\r\n", 505),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
        (b"BREW /livez HTTP/1.1\r\nHost: localhost\r\n\r\n", 501),
        (b"CONNECT memsvc.dev:443 HTTP/1.1\r\nHost: localhost\r\n\r\n", 501),
        (b"GET /livez HTTP/1.1\r\nHost: localhost\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n", 501),
        (b"GET /%ff HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 501),
        (b"\0" * 100, 501),
        (LIVE + b"X: " + b"x" * MAX_HEAD_BYTES + b"\r\n\r\n", 431),
        (LIVE + b"X: 1\r\n" * 200 + b"\r\n", 431),
        (b"GET /" + b"x" * (2 * MAX_HEAD_BYTES) + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", 414),
        (LIVE + b"Expect: miracles\r\n\r\n", 417),
    ],
)
async def test_what_is_no_request_is_refused_and_the_connection_closed(
    http: HttpHarness, sent: bytes, status: int
) -> None:
    answer = await http.raw(sent)

    head, _, body = answer.partition(b"\r\n\r\n")
    assert int(head.split()[1]) in (status, 400), head
    assert b"\r\nConnection: close" in head
    assert len(re.findall(rb"HTTP/1.1 \d", answer)) == 1
    assert json.loads(body)["code"]
    assert (await http.ask("GET", "/livez")).status == 200


async def test_what_follows_a_smuggled_body_is_never_a_request(http: HttpHarness) -> None:
    smuggled = b"GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n"
    answer = await http.raw(LIST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + smuggled)

    assert len(re.findall(rb"HTTP/1.1 \d", answer)) == 1


async def test_a_head_without_end_is_cut_off(http: HttpHarness) -> None:
    client = await http.connect()
    await client.send(LIVE + b"X: ")
    await until_closed(client, b"x" * 4_096, 0)


async def test_trailers_without_end_are_cut_off(http: HttpHarness) -> None:
    client = await http.connect()
    await client.send(LIST + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX: ")
    await until_closed(client, b"x" * 4_096, 0)


@pytest.mark.parametrize("sent", [b"", b"GET /li", LIVE, LIVE + b"X: y"])
async def test_a_head_that_does_not_come_is_not_waited_for(
    http: HttpHarness, sent: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "HEAD_SECONDS", 0.2)
    answer = await http.raw(sent)

    assert answer == b"" if not sent else answer.startswith(b"HTTP/1.1 408 ")


async def test_a_head_that_comes_byte_by_byte_is_not_waited_for(
    http: HttpHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "HEAD_SECONDS", 0.3)
    client = await http.connect()
    await until_closed(client, b"G", 0.02)


async def test_an_idle_connection_is_closed(http: HttpHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "IDLE_SECONDS", 0.2)
    client = await http.connect()
    reply = await client.ask("GET", "/livez")

    assert (reply.status, await client.rest()) == (200, b"")


async def test_a_body_that_is_too_large_is_refused_before_it_is_sent(driver: Driver, folder: Path) -> None:
    async with served_http(driver, folder, max_request_bytes=10_000) as http:
        asked = await http.connect()
        await asked.send(LIST + b"Content-Length: 1000000\r\nExpect: 100-continue\r\n\r\n")
        status, _ = await asked.head()
        too_large = await http.ask("POST", "/memsvc.v1.MemoryService/ListMemories", b" " * 40_000 + ASKED, JSON)
        over = json.dumps({"scope": {"userId": "sarah"}, "query": "x" * 12_000}).encode()
        over_the_limit = await http.ask("POST", "/memsvc.v1.MemoryService/SearchMemories", over, JSON)

    assert status == 413
    assert (too_large.status, too_large.reason) == (413, "REQUEST_TOO_LARGE")
    assert (over_the_limit.status, over_the_limit.reason) == (429, "REQUEST_TOO_LARGE")


async def test_a_body_that_is_asked_for_is_sent(http: HttpHarness) -> None:
    client = await http.connect()
    await client.send(LIST + b"Content-Length: %d\r\nExpect: 100-continue\r\n\r\n" % len(ASKED))
    going_on, _ = await client.head()
    await client.send(ASKED)

    assert (going_on, (await client.reply()).status) == (100, 200)


async def test_a_body_in_chunks_is_read_whatever_its_pieces(http: HttpHarness) -> None:
    client = await http.connect()
    pieces = b"".join(b"1;x=y\r\n%c\r\n" % each for each in ASKED)
    data = LIST + b"Transfer-Encoding: chunked\r\n\r\n" + pieces + b"0\r\nTrailer: x\r\n\r\n"
    for each in data:
        client.writer.write(bytes((each,)))
    reply = await client.reply()

    assert (reply.status, (await client.ask("GET", "/livez")).status) == (200, 200)


@pytest.mark.parametrize("path", [b"/memsvc.v1.MemoryService/SearchMemories", b"/memsvc.v1.Nobody/Knows", b"/nothing"])
@pytest.mark.parametrize("size", [20_000, 40_000, 200_000])
async def test_a_connection_goes_on_after_a_body_of_any_size(http: HttpHarness, path: bytes, size: int) -> None:
    client = await http.connect()
    body = json.dumps({"scope": {"userId": "sarah"}, "query": "x" * size}).encode()
    reply = await client.ask("POST", path.decode(), body, JSON)

    if reply.headers.get("connection") != "close":
        assert (await client.ask("POST", LIST.split()[1].decode(), ASKED, JSON)).status == 200
    else:
        assert await client.rest() == b""


async def test_requests_on_one_connection_are_answered_in_their_order(http: HttpHarness) -> None:
    client = await http.connect()
    post = LIST + b"Content-Length: %d\r\n\r\n" % len(ASKED) + ASKED
    await client.send(LIVE + b"\r\n" + post + LIVE + b"\r\n" + b"GET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n")
    replies = [await client.reply() for _ in range(4)]

    assert [reply.status for reply in replies] == [200, 200, 200, 404]
    assert "revision" in replies[1].json or "readTime" in replies[1].json


async def test_garbage_after_a_request_leaves_its_answer(http: HttpHarness) -> None:
    post = LIST + b"Content-Length: %d\r\n\r\n" % len(ASKED) + ASKED
    answer = await http.raw(post + b"\0garbage\r\n\r\n")

    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"readTime" in answer


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "127.0.0.1.nip.io", "sarah"])
async def test_another_name_is_refused(http: HttpHarness, host: str) -> None:
    for path in ("/livez", "/memsvc.v1.AdminService/GetServerInfo"):
        reply = await http.ask("GET", path, headers={"Host": f"{host}:7433"})
        assert (reply.status, reply.json["code"]) == (421, "invalid_argument")


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:1", "127.0.0.1:7433", "[::1]:7433", "10.1.2.3", "memsvc.svc:80"]
)
async def test_its_own_names_and_addresses_are_taken(driver: Driver, folder: Path, host: str) -> None:
    async with served_http(driver, folder, http_hosts=["memsvc.svc"]) as http:
        assert (await http.ask("GET", "/livez", headers={"Host": host})).status == 200


async def test_pages_of_other_origins_are_refused_unless_they_are_named(driver: Driver, folder: Path) -> None:
    named, other = {"Origin": "https://console.example"}, {"Origin": "https://evil.example"}
    path = "/memsvc.v1.MemoryService/ListMemories"
    async with served_http(driver, folder, http_origins=["https://console.example"]) as http:
        allowed = await http.ask("POST", path, ASKED, {**JSON, **named})
        preflight = await http.ask("OPTIONS", path, headers={**named, "Access-Control-Request-Method": "POST"})
        refused = await http.ask("POST", path, ASKED, {**JSON, **other})
        refused_preflight = await http.ask("OPTIONS", path, headers=other)
        own = await http.ask("POST", path, ASKED, {**JSON, "Origin": "http://localhost:7433", "Host": "localhost:7433"})

    assert allowed.headers["access-control-allow-origin"] == "https://console.example"
    assert (preflight.status, preflight.headers["access-control-allow-methods"]) == (204, "GET, POST")
    assert [refused.status, refused_preflight.status] == [403, 403]
    assert "access-control-allow-origin" not in refused.headers
    assert (own.status, "access-control-allow-origin" in own.headers) == (200, False)


async def test_connections_are_bounded(driver: Driver, folder: Path) -> None:
    async with served_http(driver, folder, http_max_connections=3) as http:
        half = [await http.connect() for _ in range(3)]
        for client in half:
            await client.send(b"GET /")
        await asyncio.sleep(0)
        while http.port.busy_connections < 3:
            await asyncio.sleep(0.01)
        crowded = await http.raw(LIVE + b"\r\n")
        for client in half:
            await client.send(b"livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
        answered = [(await client.reply()).status for client in half]
        # Now they are idle, and the oldest has to go.
        again = await http.ask("GET", "/livez")

    assert crowded.startswith(b"HTTP/1.1 503 ")
    assert (answered, again.status) == ([200] * 3, 200)


async def test_who_reads_nothing_is_cut_off(http: HttpHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "READ_SECONDS", 0.3)
    operations = [{"create": {"memory": {"text": f"{index} " + "x" * 2_000}}} for index in range(900)]
    await http.call("MemoryService/BatchWriteMemories", {"scope": {"userId": "sarah"}, "operations": operations})
    client = await http.connect()
    body = b'{"scope":{"userId":"sarah"},"pageSize":1000}'
    for _ in range(10):
        await client.send(LIST + b"Content-Length: %d\r\n\r\n" % len(body) + body)
    room = http.rpc.edge.admission.room
    async with asyncio.timeout(20):
        while http.port.busy_connections or room.held_bytes:
            await asyncio.sleep(0.05)

    assert (await http.ask("GET", "/livez")).status == 200


async def test_nothing_of_a_request_is_logged(http: HttpHarness, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    await http.raw(LIST + b"Authorization: Bearer hunter2-secret\r\nContent-Length: x\r\n\r\nsecret")
    await http.ask("POST", "/memsvc.v1.MemoryService/ListMemories?key=secret", b'{"secret":1}', JSON)

    assert "secret" not in caplog.text
