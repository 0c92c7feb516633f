"""A stream that is ended while a large message of it is still being made: what is made then is no part of anything.

Else it would come after the end of the stream, where the client reads the reply to its next request.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from memsvc.http import calls
from memsvc.rpc.arriving import LARGE_BYTES
from memsvc.storage.driver import Driver
from memsvc.v1 import memory_pb2
from tests.integration.http.http_harness import Client, HttpHarness, enveloped, messages_in, served_http
from tests.integration.rpc.callers import Callers, bearer, token_id
from tests.integration.rpc.rpc_harness import SARAH

WATCH = "/memsvc.v1.MemoryService/WatchMemories"
SECONDS = 20.0


class Held:
    """Makes JSON of large replies once it may."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begun, self.go_on = threading.Event(), threading.Event()
        self._to_json = calls._to_json
        monkeypatch.setattr(calls, "_to_json", self._held)
        # The module's own one belongs to the first event loop that has waited for it.
        self._conversion = asyncio.Lock()
        monkeypatch.setattr(calls, "_conversion", self._conversion)

    def _held(self, kind: Any, reply: bytes) -> bytes:
        if len(reply) > LARGE_BYTES:
            self.begun.set()
            self.go_on.wait(SECONDS)
        return self._to_json(kind, reply)

    async def until_done(self) -> None:
        self.go_on.set()
        async with self._conversion:
            pass
        # Whoever made it goes on with it in this turn of the loop.
        await asyncio.sleep(0.05)


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Held:
    return Held(monkeypatch)


async def watching(http: HttpHarness, held: Held, headers: Mapping[str, str], metadata: Any = ()) -> Client:
    """Return a client whose stream has a large message under way."""
    client = await http.connect()
    request = enveloped({"scope": {"userId": "sarah"}})
    given = {"Host": "localhost", "Content-Type": "application/connect+json", **headers}
    lines = [f"POST {WATCH} HTTP/1.1", *(f"{name}: {value}" for name, value in given.items())]
    await client.send("\r\n".join((*lines, f"Content-Length: {len(request)}", "", "")).encode() + request)
    await client.head()
    await client.chunk()
    creates = [memory_pb2.CreateOperation(memory=memory(number)) for number in range(40)]
    operations = [memory_pb2.BatchWriteOperation(create=each) for each in creates]
    batch = memory_pb2.BatchWriteMemoriesRequest(scope=SARAH, operations=operations)
    await http.rpc.memories.BatchWriteMemories(batch, metadata=metadata)
    assert await asyncio.to_thread(held.begun.wait, SECONDS)
    return client


def memory(number: int) -> memory_pb2.Memory:
    return memory_pb2.Memory(text=f"{number} " + "x" * 8_000)


async def end_of(client: Client) -> Any:
    """Return how the stream ended."""
    async with asyncio.timeout(SECONDS):
        body = b""
        while chunk := await client.chunk():
            body += chunk
    ((flags, end),) = messages_in(body)
    assert flags == 2
    return end["error"]


async def goes_on(client: Client) -> bool:
    return (await client.ask("GET", "/livez")).status == 200


async def test_the_connection_goes_on_after_one_that_a_draining_server_ends(http: HttpHarness, held: Held) -> None:
    client = await watching(http, held, {})
    http.rpc.edge.start_draining()
    error = await end_of(client)
    await held.until_done()

    assert error["details"][0]["debug"]["reason"] == "SERVER_DRAINING"
    assert await goes_on(client)


async def test_the_connection_goes_on_after_one_whose_time_is_over(http: HttpHarness, held: Held) -> None:
    client = await watching(http, held, {"Connect-Timeout-Ms": "1000"})
    error = await end_of(client)
    await held.until_done()

    assert error["code"] == "deadline_exceeded"
    assert await goes_on(client)


async def test_the_connection_goes_on_after_one_whose_caller_may_no_longer_read(
    driver: Driver, folder: Path, held: Held
) -> None:
    callers = Callers(folder)
    own, others = callers.token(), callers.token()
    async with served_http(driver, folder, tokens_file=str(callers.path)) as http:
        client = await watching(http, held, {"Authorization": f"Bearer {own}"}, bearer(others))
        callers.file.remove([token_id(own)])
        error = await end_of(client)
        await held.until_done()

        assert error["code"] == "unauthenticated"
        assert await goes_on(client)
