"""What clients see when the database, the clock or the service itself fails."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any

import grpc
import pytest
from rpc_harness import SARAH, Failure, Harness, failing, new_request_id, said, served
from test_bad_input import RPCS, VALID

from memsvc.errors import Reason, Retryable, StorageUnavailable
from memsvc.ids import new_id
from memsvc.memories import Create, Guard
from memsvc.model import Memory, Scope
from memsvc.storage.driver import Driver
from memsvc.users import HotUser
from memsvc.v1 import admin_pb2, common_pb2, context_pb2, extraction_pb2, memory_pb2, session_pb2

OTHER = common_pb2.Scope(user_id="ben")
SECRET = "password=hunter2"


def call(server: Harness, name: str, **options: Any) -> Any:
    rpc = RPCS[name]
    path = f"/{rpc.service}/{rpc.name}"
    make = server.channel.unary_stream(path) if rpc.streams else server.channel.unary_unary(path)
    return make(VALID[name].SerializeToString(), **options)


READS_NOTHING = {"GetServerInfo"}


STREAMS = {"ExtractMemories", "ObserveConversation", "WatchExtraction", "WatchMemories"}


@pytest.mark.parametrize("name", sorted(VALID.keys() - READS_NOTHING))
async def test_no_text_of_an_internal_exception_reaches_the_client(
    server: Harness, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    await server.application.worker.stop()
    server.driver.broken = RuntimeError(SECRET)
    with caplog.at_level(logging.CRITICAL, "memsvc"):
        failure = await failing(call(server, name, timeout=10))

    assert (failure.code, failure.reason, failure.message) == (grpc.StatusCode.INTERNAL, "INTERNAL", "internal error")
    assert SECRET not in str(failure)


@pytest.mark.parametrize("name", sorted(VALID.keys() - READS_NOTHING))
async def test_a_database_that_is_down_is_unavailable_with_a_time_to_retry(server: Harness, name: str) -> None:
    await server.application.worker.stop()
    server.driver.broken = StorageUnavailable("database did not answer")
    failure = await failing(call(server, name, timeout=10))

    assert (failure.code, failure.reason) == (grpc.StatusCode.UNAVAILABLE, "STORAGE_UNAVAILABLE")
    assert failure.retry_after_seconds == 1.0


async def test_a_call_without_a_deadline_gets_the_servers(driver: Driver, folder: Any) -> None:
    async with served(driver, folder, default_deadline_seconds=0.05) as server:
        server.driver.fast.clear()
        failure = await failing(server.memories.ListMemories(memory_pb2.ListMemoriesRequest(scope=SARAH)))

    assert (failure.code, failure.reason) == (grpc.StatusCode.UNAVAILABLE, "STORAGE_UNAVAILABLE")


async def test_calls_beyond_the_limit_are_refused_at_once_and_others_go_on(driver: Driver, folder: Any) -> None:
    async with served(driver, folder, max_calls=3) as server:
        server.driver.fast.clear()
        request = memory_pb2.ListMemoriesRequest(scope=SARAH)
        calls = [asyncio.ensure_future(failing(server.memories.ListMemories(request, timeout=30))) for _ in range(8)]
        refused: set[asyncio.Future[Failure]] = set()
        while len(refused) < 5:
            done, _ = await asyncio.wait(set(calls) - refused, return_when=asyncio.FIRST_COMPLETED)
            refused |= done
        server.driver.fast.set()
        rest = await asyncio.gather(*(set(calls) - refused), return_exceptions=True)

    reasons = {(call.result().code, call.result().reason) for call in refused}
    assert reasons == {(grpc.StatusCode.UNAVAILABLE, "TOO_MANY_CALLS")}
    assert [str(each) for each in rest] == ["the call succeeded"] * 3


async def test_a_deadline_of_a_millisecond_loses_no_write_and_leaves_no_task(each_server: Harness) -> None:
    server, scope = each_server, Scope("default", "sarah")
    await server.admin.GetServerInfo(admin_pb2.GetServerInfoRequest())
    before = len(asyncio.all_tasks())
    requests = [
        memory_pb2.CreateMemoryRequest(
            scope=SARAH, memory=memory_pb2.Memory(memory_id=f"m{index}", text="x"), request_id=new_request_id()
        )
        for index in range(20)
    ]
    outcomes = await asyncio.gather(
        *(server.memories.CreateMemory(request, timeout=0.001) for request in requests), return_exceptions=True
    )
    for outcome in outcomes:
        if isinstance(outcome, grpc.aio.AioRpcError):
            assert outcome.code() in (grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.UNAVAILABLE)
    repeated = [await server.memories.CreateMemory(request, timeout=10) for request in requests]
    user = await server.application.users.latest(scope)

    assert user.revision == user.state.memory_count == 20
    assert sorted(reply.revision for reply in repeated) == list(range(1, 21))
    for first, repeat in zip(outcomes, repeated, strict=True):
        assert isinstance(first, grpc.aio.AioRpcError) or first == repeat
    while len(asyncio.all_tasks()) > before:
        await asyncio.sleep(0)


@pytest.mark.parametrize("name", sorted(VALID.keys() - READS_NOTHING))
async def test_a_call_that_waits_for_the_database_says_so_before_its_deadline(server: Harness, name: str) -> None:
    server.driver.fast.clear()
    failure = await failing(call(server, name, timeout=0.5))
    while failure.code == grpc.StatusCode.DEADLINE_EXCEEDED and name not in STREAMS:
        # The client's own clock was first: a busy machine may not manage to answer a little before it.
        failure = await failing(call(server, name, timeout=0.5))
    if name in STREAMS:
        assert failure.code == grpc.StatusCode.DEADLINE_EXCEEDED
    else:
        assert (failure.code, failure.reason) == (grpc.StatusCode.UNAVAILABLE, "STORAGE_UNAVAILABLE")
        assert failure.retry_after_seconds == 1.0
    server.driver.fast.set()
    await server.memories.ListMemories(memory_pb2.ListMemoriesRequest(scope=SARAH), timeout=10)


async def test_a_write_that_was_handed_over_outlives_its_caller(server: Harness) -> None:
    await server.memories.ListMemories(memory_pb2.ListMemoriesRequest(scope=SARAH))
    server.driver.fast.clear()
    server.driver.asked.clear()
    request = memory_pb2.CreateMemoryRequest(
        scope=SARAH, memory=memory_pb2.Memory(text="Skis"), request_id=new_request_id()
    )
    gone = server.memories.CreateMemory(request)
    await server.driver.asked.wait()
    gone.cancel()
    server.driver.fast.set()
    reply = await server.memories.CreateMemory(request)

    assert reply.revision == 1


async def test_a_model_that_fails_in_a_preview_is_unavailable(server: Harness) -> None:
    server.engine.failures.append(Retryable(Reason.MODEL_RATE_LIMITED, "model endpoint answered 429"))
    messages = extraction_pb2.MessageList(messages=[said("I ski")])
    request = extraction_pb2.ExtractMemoriesRequest(scope=SARAH, messages=messages, validate_only=True)
    failure = await failing(server.extractions.ExtractMemories(request))

    assert (failure.code, failure.reason) == (grpc.StatusCode.UNAVAILABLE, "MODEL_RATE_LIMITED")


async def test_the_quota_is_said_aloud(driver: Driver, folder: Any) -> None:
    async with served(driver, folder, memory_quota=1) as server:
        request = memory_pb2.CreateMemoryRequest(scope=SARAH, memory=memory_pb2.Memory(text="Skis"))
        await server.memories.CreateMemory(request)
        failure = await failing(server.memories.CreateMemory(request))
        run = session_pb2.Run(session_id="s1", messages=[said("I sail")])
        learned = await server.sessions.AppendRun(
            session_pb2.AppendRunRequest(scope=SARAH, run=run, wait_for_learning={"seconds": 10})
        )

    assert (failure.code, failure.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "QUOTA_EXCEEDED")
    assert failure.message == "user has 1 of 1 memories"
    assert learned.extraction.reason == "QUOTA_EXCEEDED"


async def test_an_unknown_method_is_unimplemented(server: Harness) -> None:
    failure = await failing(server.channel.unary_unary("/memsvc.v1.MemoryService/Nothing")(b""))

    assert failure.code == grpc.StatusCode.UNIMPLEMENTED


async def test_long_and_foreign_texts_do_not_destroy_the_status(server: Harness) -> None:
    memory_id = "é" * 128
    failure = await failing(server.memories.GetMemory(memory_pb2.GetMemoryRequest(scope=SARAH, memory_id=memory_id)))

    assert (failure.code, failure.reason) == (grpc.StatusCode.NOT_FOUND, "MEMORY_NOT_FOUND")
    assert failure.message == f"no memory {memory_id}"
    reply = await server.contexts.CompileContext(context_pb2.CompileContextRequest(scope=SARAH))
    assert reply.text == ""


@pytest.mark.parametrize("failure", ["down", "hung"])
async def test_a_context_that_waits_for_learning_is_answered_from_ram_without_the_database(
    server: Harness, failure: str
) -> None:
    await server.application.worker.stop()
    request = memory_pb2.CreateMemoryRequest(scope=SARAH, memory=memory_pb2.Memory(text="Skis"))
    await server.memories.CreateMemory(request)
    run = session_pb2.Run(session_id="s1", messages=[said("I sail")])
    await server.sessions.AppendRun(session_pb2.AppendRunRequest(scope=SARAH, run=run))
    if failure == "down":
        server.driver.broken = StorageUnavailable("database did not answer")
    else:
        server.driver.fast.clear()
    asked = context_pb2.CompileContextRequest(
        scope=SARAH, consistency={"max_staleness": {"seconds": 3600}}, wait_for_learning={"seconds": 30}
    )
    reply = await server.contexts.CompileContext(asked, timeout=1)

    assert "Skis" in reply.text
    assert reply.pending_run_count == 1


@pytest.mark.parametrize("failure", ["down", "hung"])
async def test_a_run_that_was_stored_is_acknowledged_though_the_database_fails_while_learning_is_waited_for(
    server: Harness, failure: str
) -> None:
    server.engine.gate.clear()
    run = session_pb2.Run(session_id="s1", messages=[said("I sail")])
    request = session_pb2.AppendRunRequest(scope=SARAH, run=run, wait_for_learning={"seconds": 30})
    appending = asyncio.ensure_future(server.sessions.AppendRun(request, timeout=2))
    await server.engine.reading.wait()
    if failure == "down":
        server.driver.broken = StorageUnavailable("database did not answer")
    else:
        server.driver.fast.clear()
    reply = await appending

    assert reply.learning == common_pb2.LEARNING_STATE_PENDING


WRITING = {name for name in VALID if not name.startswith(("Get", "List", "Search", "Compile", "Watch"))}


@pytest.mark.parametrize("name", sorted(VALID.keys() - READS_NOTHING - STREAMS))
async def test_a_call_that_ran_out_of_time_speaks_of_a_write_only_where_one_may_have_been_made(
    server: Harness, name: str
) -> None:
    await server.memories.ListMemories(memory_pb2.ListMemoriesRequest(scope=SARAH))
    server.driver.fast.clear()
    failure = await in_time(lambda: call(server, name, timeout=0.5))
    assert failure.reason == "STORAGE_UNAVAILABLE"
    assert "a write may have been made" not in failure.message or name in WRITING


async def test_a_write_that_ran_out_of_time_says_that_it_may_have_been_made(server: Harness) -> None:
    await server.memories.ListMemories(memory_pb2.ListMemoriesRequest(scope=SARAH))
    server.driver.hung = {"append"}
    request = memory_pb2.CreateMemoryRequest(scope=SARAH, memory=memory_pb2.Memory(text="Skis"))
    failure = await in_time(lambda: server.memories.CreateMemory(request, timeout=0.5))
    assert failure.message == "the database did not answer before the deadline; a write may have been made"


async def in_time(ask: Callable[[], Any]) -> Any:
    """Return how a call fails, asked again where the client's own clock was the first: on a busy machine it may be."""
    failure = await failing(ask())
    while failure.code == grpc.StatusCode.DEADLINE_EXCEEDED:
        failure = await failing(ask())
    return failure


@pytest.mark.parametrize(
    "ask",
    [
        lambda server: server.memories.SearchMemories(
            memory_pb2.SearchMemoriesRequest(scope=SARAH, query="skis"), timeout=0.3
        ),
        lambda server: server.contexts.CompileContext(
            context_pb2.CompileContextRequest(scope=SARAH, query="skis"), timeout=0.3
        ),
        lambda server: server.memories.SearchMemories(
            memory_pb2.SearchMemoriesRequest(scope=OTHER, query="skis", shared_user_ids=["sarah"]), timeout=0.3
        ),
    ],
    ids=["search", "context", "shared"],
)
async def test_computing_past_the_deadline_is_not_told_as_a_database_that_is_away(
    server: Harness, ask: Callable[[Harness], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    skis = [Create(Memory(memory_id=new_id(), number=0, text=f"Skis {number}")) for number in range(100)]
    await server.application.memory_writer.write(Scope("default", "sarah"), skis, Guard())
    prepare = HotUser.prepare_search

    async def slowly(user: HotUser) -> None:
        """As for very many memories: in slices, between which others have their turn."""
        if user.state.memory_count:
            for _ in range(200):
                time.sleep(0.002)
                await asyncio.sleep(0)
        await prepare(user)

    monkeypatch.setattr(HotUser, "prepare_search", slowly)
    failure = await in_time(lambda: ask(server))
    assert (failure.code, failure.reason) == (grpc.StatusCode.UNAVAILABLE, "OUT_OF_TIME")
    assert failure.message == "the answer was not ready before the deadline"
    assert failure.retry_after_seconds
