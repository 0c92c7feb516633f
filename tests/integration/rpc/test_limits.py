"""What callers and namespaces may take, and that nobody else notices when it is taken."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
from callers import Callers, Metadata
from rpc_harness import Failure, Harness, failing, failure_of, said, served

from memsvc.access.allowance import Allowance
from memsvc.access.files import LOOK_SECONDS
from memsvc.errors import InvalidArgument
from memsvc.storage.driver import Driver
from memsvc.v1 import admin_pb2, common_pb2, extraction_pb2, memory_pb2, session_pb2

EXHAUSTED = grpc.StatusCode.RESOURCE_EXHAUSTED


def scope(user_id: str = "sarah", namespace: str = "support") -> common_pb2.Scope:
    return common_pb2.Scope(namespace=namespace, user_id=user_id)


def listing(harness: Harness, namespace: str = "support", metadata: Metadata = ()) -> Any:
    request = memory_pb2.ListMemoriesRequest(scope=scope(namespace=namespace))
    return harness.memories.ListMemories(request, metadata=metadata, timeout=30)


def adding(harness: Harness, user_id: str, text: str = "Skis", namespace: str = "support") -> Any:
    request = memory_pb2.CreateMemoryRequest(scope=scope(user_id, namespace), memory=memory_pb2.Memory(text=text))
    return harness.memories.CreateMemory(request, timeout=30)


@pytest.fixture
def limits(folder: Path) -> Path:
    path = folder / "limits.toml"
    path.write_text("")
    return path


@pytest.fixture
async def limited(driver: Driver, folder: Path, limits: Path) -> AsyncIterator[Harness]:
    async with served(driver, folder, limits_file=str(limits)) as harness:
        yield harness


async def limit(limits: Path, content: str) -> None:
    """Write the file, and wait until what was seen before no longer counts."""
    limits.write_text(content)
    await asyncio.sleep(LOOK_SECONDS)


async def refused_of(count: int, calls: Callable[[], Any]) -> list[Failure]:
    """Make calls all at once and return how those failed that did."""
    outcomes = await asyncio.gather(*(calls() for _ in range(count)), return_exceptions=True)
    return [failure_of(each) for each in outcomes if isinstance(each, grpc.aio.AioRpcError)]


async def test_calls_above_the_rate_of_a_namespace_are_told_when_to_come_again(limited: Harness, limits: Path) -> None:
    await limit(limits, "[support]\ncalls_per_second = 1\n")
    failures = await refused_of(40, lambda: listing(limited))
    assert failures
    first = failures[0]
    assert (first.code, first.reason) == (EXHAUSTED, "LIMIT_REACHED")
    assert 0 < first.retry_after_seconds <= 1
    assert not await refused_of(20, lambda: listing(limited, "billing"))
    limits.write_text("")
    async with asyncio.timeout(30):
        while await refused_of(20, lambda: listing(limited)):
            await asyncio.sleep(LOOK_SECONDS)


async def test_namespaces_that_are_not_named_have_what_is_said_of_others_each_for_itself(
    limited: Harness, limits: Path
) -> None:
    await limit(limits, '[support]\n\n["*"]\ncalls_per_second = 1\n')
    await listing(limited, "a")
    await listing(limited, "b")
    assert await refused_of(40, lambda: listing(limited, "a"))
    assert not await refused_of(5, lambda: listing(limited))


async def test_calls_above_the_rate_of_a_token_cost_other_tokens_nothing(driver: Driver, folder: Path) -> None:
    callers = Callers(folder)
    few = callers.metadata(limits=Allowance(calls_per_second=1))
    many = callers.metadata()
    async with served(driver, folder, tokens_file=str(callers.path)) as harness:
        failures = await refused_of(40, lambda: listing(harness, metadata=few))
        assert {failure.reason for failure in failures} == {"LIMIT_REACHED"}
        assert not await refused_of(10, lambda: listing(harness, metadata=many))


async def _as_many_as_there_may_be(watch: Callable[[], Awaitable[Any]]) -> AsyncIterator[Any]:
    with contextlib.suppress(grpc.aio.AioRpcError):
        while True:
            yield await watch()


async def test_open_streams_are_counted_until_they_end(limited: Harness, limits: Path) -> None:
    await limit(limits, "[support]\nopen_streams = 2\n")

    async def watch() -> Any:
        stream = limited.memories.WatchMemories(memory_pb2.WatchMemoriesRequest(scope=scope()))
        await stream.read()
        return stream

    streams: list[Any] = []
    async with asyncio.timeout(30):
        # Until the file was looked at, streams are not counted; those that were ended are for a moment.
        while len(streams) != 2:
            for stream in streams:
                stream.cancel()
            streams = [stream async for stream in _as_many_as_there_may_be(watch)]
    one, two = streams
    failure = await failing(watch())
    assert (failure.code, failure.reason) == (EXHAUSTED, "LIMIT_REACHED")
    assert failure.retry_after_seconds > 0
    one.cancel()
    async with asyncio.timeout(30):
        while True:
            try:
                three = await watch()
                break
            except grpc.aio.AioRpcError:
                await asyncio.sleep(0.01)
    two.cancel()
    three.cancel()


async def test_bytes_in_flight_are_counted_until_the_reply_was_taken(limited: Harness, limits: Path) -> None:
    await limit(limits, "[support]\nbytes_in_flight = 100_000\n")
    limited.driver.fast.clear()
    large = [asyncio.ensure_future(adding(limited, f"u{number}", "x" * 8_000)) for number in range(30)]
    await limited.driver.asked.wait()
    async with asyncio.timeout(30):
        while sum(call.done() for call in large) < 15:
            await asyncio.sleep(0.01)
    # Another namespace has room of its own.
    other = asyncio.ensure_future(adding(limited, "ben", "x" * 8_000, "billing"))
    limited.driver.fast.set()
    outcomes = await asyncio.gather(*large, return_exceptions=True)
    await other
    failures = [each for each in outcomes if isinstance(each, grpc.aio.AioRpcError)]
    assert 10 < len(failures) < 20
    assert {failure.code() for failure in failures} == {EXHAUSTED}
    await adding(limited, "later", "x" * 8_000)


async def test_a_namespace_has_no_more_users_than_it_may(limited: Harness, limits: Path) -> None:
    await limit(limits, "[support]\nusers = 2\n")
    await adding(limited, "sarah")
    await limited.sessions.AppendRun(
        session_pb2.AppendRunRequest(scope=scope("ben"), run=session_pb2.Run(session_id="s", messages=[said("I sail")]))
    )
    failure = await failing(adding(limited, "cleo"))
    assert (failure.code, failure.reason) == (EXHAUSTED, "QUOTA_EXCEEDED")
    stream = limited.extractions.ExtractMemories(
        extraction_pb2.ExtractMemoriesRequest(
            scope=scope("cleo"), messages=extraction_pb2.MessageList(messages=[said("I ski")])
        )
    )
    assert (await failing(stream)).reason == "QUOTA_EXCEEDED"
    await adding(limited, "sarah", "Sails")
    await adding(limited, "cleo", namespace="billing")


async def test_a_user_has_no_more_memories_than_its_namespace_allows(limited: Harness, limits: Path) -> None:
    await limit(limits, "[support]\nmemories = 2\n\n[large]\nmemories = 1_000_000\n")
    await adding(limited, "sarah", "a")
    await adding(limited, "sarah", "b")
    failure = await failing(adding(limited, "sarah", "c"))
    assert (failure.code, failure.reason) == (EXHAUSTED, "QUOTA_EXCEEDED")
    await adding(limited, "ben", "a")
    quotas = [
        (await limited.admin.GetStats(admin_pb2.GetStatsRequest(scope=scope(namespace=name)))).memory_quota
        for name in ("support", "large", "other")
    ]
    assert quotas == [2, 10_000, 10_000]


async def learned(harness: Harness, text: str, namespace: str = "support") -> Any:
    reply = await harness.sessions.AppendRun(
        session_pb2.AppendRunRequest(
            scope=scope("sarah", namespace), run=session_pb2.Run(session_id="s", messages=[said(text)])
        )
    )
    request = extraction_pb2.GetExtractionRequest(scope=scope("sarah", namespace), extraction_id=reply.extraction_id)
    async with asyncio.timeout(30):
        while True:
            extraction = (await harness.extractions.GetExtraction(request)).extraction
            if extraction.state == extraction_pb2.EXTRACTION_STATE_SUCCEEDED or extraction.reason:
                return extraction
            await asyncio.sleep(0.01)


async def test_learning_waits_for_the_next_day_once_the_budget_is_spent_and_goes_on_when_it_is_raised(
    driver: Driver, folder: Path, limits: Path
) -> None:
    # The engine of this server takes 15 tokens for each.
    await limit(limits, "[support]\nmodel_tokens_a_day = 20\n")
    async with served(driver, folder, limits_file=str(limits)) as harness:
        for text in ("I ski", "I sail"):
            assert (await learned(harness, text)).state == extraction_pb2.EXTRACTION_STATE_SUCCEEDED
        assert (await learned(harness, "I run", "billing")).state == extraction_pb2.EXTRACTION_STATE_SUCCEEDED
    # What was spent is remembered by the next server.
    async with served(driver, folder, limits_file=str(limits)) as harness:
        waiting = await learned(harness, "I climb")
        assert (waiting.state, waiting.reason) == (extraction_pb2.EXTRACTION_STATE_WAITING, "BUDGET_EXHAUSTED")
        assert waiting.attempt == 0
        at = waiting.next_attempt_time.ToDatetime()
        assert (at.hour, at.minute, at.second) == (0, 0, 0)
        assert f"{at:%Y-%m-%d}T00:00:00" in waiting.detail
        limits.write_text("[support]\nmodel_tokens_a_day = 100\n")
        request = extraction_pb2.GetExtractionRequest(scope=scope(), extraction_id=waiting.extraction_id)
        async with asyncio.timeout(30):
            while True:
                extraction = (await harness.extractions.GetExtraction(request)).extraction
                if extraction.state == extraction_pb2.EXTRACTION_STATE_SUCCEEDED:
                    break
                await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    "content", ["[support]\ncalls = 5", "[support]\nusers = -1", "support = 5", "no toml", "[support]\nusers = 'many'"]
)
async def test_a_file_that_makes_no_sense_keeps_a_server_from_starting_and_one_that_runs_as_it_was(
    driver: Driver, folder: Path, limits: Path, content: str
) -> None:
    await limit(limits, "[support]\nusers = 1\n")
    async with served(driver, folder, limits_file=str(limits)) as harness:
        limits.write_text(content)
        await adding(harness, "sarah")
        assert (await failing(adding(harness, "ben"))).reason == "QUOTA_EXCEEDED"
    with pytest.raises(InvalidArgument) as refused:
        async with served(driver, folder, limits_file=str(limits)):
            pass
    assert refused.value.fields[0].field == "limits_file"
