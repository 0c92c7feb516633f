"""ObserveConversation: numbered messages in, acknowledgements and what is learned out, over several streams."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import grpc
import pytest
from rpc_harness import SARAH, Harness, failing, said, served

from memsvc.errors import Reason, Retryable, StorageUnavailable
from memsvc.storage.driver import Driver
from memsvc.v1 import admin_pb2, common_pb2, extraction_pb2, memory_pb2, session_pb2
from memsvc.v1 import extraction_pb2 as pb


class Stream:
    """One stream, and what came by it."""

    def __init__(self, server: Harness, session_id: str = "s1", scope: Any = SARAH, **start: Any) -> None:
        self.call = server.extractions.ObserveConversation()
        self.first = pb.ObserveConversationRequest(
            scope=scope, start=pb.ObservationStart(session_id=session_id, **start)
        )
        self.replies: list[Any] = []

    async def begin(self) -> int:
        await self.call.write(self.first)
        return int((await self.read("started")).started.last_number)

    async def say(self, number: int, text: str) -> None:
        message = pb.ObservedMessage(number=number, message=said(text))
        await self.call.write(pb.ObserveConversationRequest(message=message))

    async def read(self, kind: str) -> Any:
        """Return the next reply of a kind."""
        while True:
            reply = await self.call.read()
            assert reply is not grpc.aio.EOF
            self.replies.append(reply)
            if reply.WhichOneof("response") == kind:
                return reply

    async def acknowledged(self, count: int) -> list[int]:
        return [(await self.read("acknowledged")).acknowledged.number for _ in range(count)]

    async def finish(self) -> list[Any]:
        await self.call.done_writing()
        while (reply := await self.call.read()) is not grpc.aio.EOF:
            self.replies.append(reply)
        return self.replies

    def events(self) -> list[tuple[str, int, str]]:
        """Return the extraction, number and kind of each stored event."""
        found = [each.learning for each in self.replies if each.WhichOneof("response") == "learning"]
        stored = [each for each in found if each.event.number]
        return [(each.extraction_id, each.event.number, each.event.WhichOneof("event")) for each in stored]


async def texts(server: Harness, scope: Any = SARAH) -> list[str]:
    listed = await server.memories.ListMemories(memory_pb2.ListMemoriesRequest(scope=scope, page_size=1_000))
    return sorted(each.text for each in listed.memories)


async def history(server: Harness, session_id: str = "s1") -> list[str]:
    request = session_pb2.GetHistoryRequest(scope=SARAH, session_id=session_id, last_runs=1_000)
    return [each.parts[0].text.text for each in (await server.sessions.GetHistory(request)).messages]


async def test_messages_are_acknowledged_and_half_closing_learns_at_once(each_server: Harness) -> None:
    stream = Stream(each_server)
    assert await stream.begin() == 0
    for number, text in enumerate(("I ski", "I row", "I sail"), start=1):
        await stream.say(number, text)
    assert await stream.acknowledged(3) == [1, 2, 3]
    assert await history(each_server) == ["I ski", "I row", "I sail"]
    await stream.finish()

    assert await texts(each_server) == ["I row", "I sail", "I ski"]
    by_extraction: dict[str, list[tuple[int, str]]] = {}
    for extraction_id, number, kind in stream.events():
        by_extraction.setdefault(extraction_id, []).append((number, kind))
    for events in by_extraction.values():
        assert events == [(1, "accepted"), (2, "committed"), (3, "completed")]
    runs = (await each_server.sessions.ListRuns(session_pb2.ListRunsRequest(scope=SARAH))).runs
    assert [each.observed_number for each in runs] == [1, 2, 3]


@pytest.fixture
async def quiet_server(folder: Path, driver: Driver) -> AsyncIterator[Harness]:
    """A server that waits an hour for the next message, and says soon that nothing happens."""
    quiet = {"quiet_seconds": 3_600.0, "max_quiet_seconds": 3_600.0, "heartbeat_seconds": 0.05}
    async with served(driver, folder, **quiet) as server:
        yield server


async def test_half_closing_ends_the_quiet_period(quiet_server: Harness) -> None:
    stream = Stream(quiet_server, agent_id="coach")
    await stream.begin()
    for number in range(1, 6):
        await stream.say(number, f"I like thing {number}")
    await stream.acknowledged(5)
    assert await texts(quiet_server) == []
    await stream.read("heartbeat")
    await stream.finish()

    assert len(await texts(quiet_server)) == 5
    assert len({extraction_id for extraction_id, _, _ in stream.events()}) == 1


async def test_a_stream_of_nothing_and_one_that_learns_nothing_end(server: Harness) -> None:
    nothing = Stream(server)
    await nothing.begin()
    assert len(await nothing.finish()) == 1
    off = Stream(server, learning_mode=common_pb2.LEARNING_MODE_OFF)
    await off.begin()
    await off.say(1, "I ski")
    replies = await off.finish()

    assert [each.WhichOneof("response") for each in replies] == ["started", "acknowledged"]
    assert replies[1].acknowledged.extraction_id == ""
    assert await history(server) == ["I ski"]


async def test_a_cancelled_stream_keeps_what_was_acknowledged_and_another_goes_on(quiet_server: Harness) -> None:
    first = Stream(quiet_server)
    await first.begin()
    for number in (1, 2, 3):
        await first.say(number, f"I like thing {number}")
    await first.acknowledged(3)
    first.call.cancel()
    second = Stream(quiet_server)

    assert await second.begin() == 3
    for number in (2, 3, 4):
        await second.say(number, f"I like thing {number}")
    assert await second.acknowledged(3) == [2, 3, 4]
    await second.finish()
    assert await history(quiet_server) == [f"I like thing {number}" for number in (1, 2, 3, 4)]
    assert await texts(quiet_server) == [f"I like thing {number}" for number in (1, 2, 3, 4)]


async def test_what_ended_while_nobody_watched_is_told_where_it_is_asked_for(server: Harness) -> None:
    first = Stream(server)
    await first.begin()
    await first.say(1, "I ski")
    extraction_id = (await first.read("acknowledged")).acknowledged.extraction_id
    while "accepted" not in [kind for _, _, kind in first.events()]:
        await first.read("learning")
    token = next(each.learning.event.resume_token for each in first.replies if each.HasField("learning"))
    first.call.cancel()
    watching = server.extractions.WatchExtraction(pb.WatchExtractionRequest(scope=SARAH, extraction_id=extraction_id))
    async for _ in watching:
        pass
    second = Stream(server, extractions=[pb.ExtractionPosition(extraction_id=extraction_id, resume_token=token)])
    await second.begin()
    await second.finish()

    assert second.events() == [(extraction_id, 2, "committed"), (extraction_id, 3, "completed")]


async def test_a_number_is_never_skipped_and_never_two_messages(server: Harness) -> None:
    stream = Stream(server)
    await stream.begin()
    await stream.say(1, "I ski")
    await stream.acknowledged(1)
    await stream.say(3, "I row")
    gap = await failing(stream.call)
    again = Stream(server)
    await again.begin()
    await again.say(1, "I row")
    reused = await failing(again.call)

    assert (gap.code, gap.fields, gap.message) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        ("message.number",),
        "message.number: must be 2",
    )
    assert (reused.reason, reused.fields) == (Reason.NUMBER_REUSED, ("message.number",))
    assert await history(server) == ["I ski"]


async def test_numbers_begin_anew_once_the_session_is_gone(server: Harness) -> None:
    stream = Stream(server)
    await stream.begin()
    await stream.say(1, "I ski")
    await stream.acknowledged(1)
    await server.sessions.DeleteSession(session_pb2.DeleteSessionRequest(scope=SARAH, session_id="s1"))
    await stream.say(2, "I row")

    assert (await failing(stream.call)).fields == ("message.number",)
    assert await Stream(server).begin() == 0


def storing() -> list[Any]:
    """Return what stores a message at the moment."""
    coroutines = [task.get_coro() for task in asyncio.all_tasks()]
    return [each for each in coroutines if getattr(each, "__qualname__", "") == "Sessions.append"]


async def test_at_most_64_messages_wait_to_be_acknowledged(server: Harness) -> None:
    stream = Stream(server)
    await stream.begin()
    server.driver.fast.clear()
    for number in range(1, 201):
        await stream.say(number, f"Thing {number}")
    while len(storing()) < 64:
        await asyncio.sleep(0.01)
    # Others go through the same loop meanwhile: whatever this stream can do, it has done by then.
    for _ in range(5):
        await server.admin.GetServerInfo(admin_pb2.GetServerInfoRequest())
    assert len(storing()) == 64
    server.driver.fast.set()

    assert await stream.acknowledged(200) == list(range(1, 201))
    await stream.finish()
    assert len(await history(server)) == 200
    assert len(await texts(server)) == 200


async def test_what_a_stream_holds_is_free_again_once_it_is_answered_or_over(folder: Path, driver: Driver) -> None:
    async with served(driver, folder, max_bytes_in_flight=1 << 20) as server:
        stream = Stream(server)
        await stream.begin()
        for number in range(1, 31):
            await stream.say(number, "x" * 100_000)
            assert await stream.acknowledged(1) == [number]
        for number in range(20):
            cut = Stream(server, f"cut-{number}")
            await cut.begin()
            server.driver.fast.clear()
            for each in range(1, 4):
                await cut.say(each, "x" * 100_000)
            while not storing():
                await asyncio.sleep(0.001)
            cut.call.cancel()
            server.driver.fast.set()
            while storing():
                await asyncio.sleep(0.001)
        await stream.say(31, "x" * 100_000)
        assert await stream.acknowledged(1) == [31]
        await stream.finish()


async def test_messages_that_do_not_fit_while_the_database_hangs_are_refused(folder: Path, driver: Driver) -> None:
    async with served(driver, folder, max_bytes_in_flight=1 << 20) as server:
        started = asyncio.Event()

        async def flood() -> AsyncIterator[pb.ObserveConversationRequest]:
            yield Stream(server).first
            await started.wait()
            for number in range(1, 21):
                message = pb.ObservedMessage(number=number, message=said("x" * 100_000))
                yield pb.ObserveConversationRequest(message=message)

        call = server.extractions.ObserveConversation(flood())
        await call.read()
        server.driver.fast.clear()
        started.set()
        failure = await failing(call)
        server.driver.fast.set()
        again = Stream(server)
        last = await again.begin()
        await again.say(last + 1, "I ski")
        await again.acknowledged(1)

        assert (failure.code, failure.reason) == (grpc.StatusCode.UNAVAILABLE, "TOO_MANY_CALLS")
        assert failure.retry_after_seconds > 0


WRONG: Sequence[tuple[Any, str]] = [
    (pb.ObserveConversationRequest(message=pb.ObservedMessage(number=0, message=said("a"))), "message.number"),
    (pb.ObserveConversationRequest(message=pb.ObservedMessage(number=-1, message=said("a"))), "message.number"),
    (pb.ObserveConversationRequest(message=pb.ObservedMessage(number=2**62, message=said("a"))), "message.number"),
    (pb.ObserveConversationRequest(message=pb.ObservedMessage(number=1)), "message.message"),
    (pb.ObserveConversationRequest(message=pb.ObservedMessage(number=1, message=said("a", 0))), "message.message.role"),
    (
        pb.ObserveConversationRequest(message=pb.ObservedMessage(number=1, message=said("x" * 300_000))),
        "message.message",
    ),
    (pb.ObserveConversationRequest(start=pb.ObservationStart(session_id="s1")), "message"),
    (pb.ObserveConversationRequest(), "message"),
    (
        pb.ObserveConversationRequest(
            scope=common_pb2.Scope(user_id="ben"), message=pb.ObservedMessage(number=1, message=said("a"))
        ),
        "scope",
    ),
]


@pytest.mark.parametrize(("request_", "field"), WRONG)
async def test_a_message_that_is_wrong_is_named_and_not_stored(server: Harness, request_: Any, field: str) -> None:
    stream = Stream(server)
    await stream.begin()
    await stream.call.write(request_)
    failure = await failing(stream.call)

    assert (failure.code, failure.fields) == (grpc.StatusCode.INVALID_ARGUMENT, (field,))
    assert not (await server.sessions.ListSessions(session_pb2.ListSessionsRequest(scope=SARAH))).sessions


@pytest.mark.parametrize(
    ("first", "field"),
    [
        (pb.ObserveConversationRequest(scope=SARAH), "start"),
        (pb.ObserveConversationRequest(start=pb.ObservationStart(session_id="s1")), "scope.user_id"),
        (pb.ObserveConversationRequest(scope=SARAH, start=pb.ObservationStart()), "start.session_id"),
        (
            pb.ObserveConversationRequest(scope=SARAH, message=pb.ObservedMessage(number=1, message=said("a"))),
            "start",
        ),
        (
            pb.ObserveConversationRequest(
                scope=SARAH,
                start=pb.ObservationStart(session_id="s1", learning_mode=99),  # type: ignore[arg-type]
            ),
            "start.learning_mode",
        ),
        (
            pb.ObserveConversationRequest(
                scope=SARAH,
                start=pb.ObservationStart(session_id="s1", extractions=[pb.ExtractionPosition(extraction_id="a\nb")]),
            ),
            "start.extractions[0].extraction_id",
        ),
    ],
)
async def test_a_beginning_that_is_wrong_is_named(server: Harness, first: Any, field: str) -> None:
    stream = Stream(server)
    await stream.call.write(first)

    assert (await failing(stream.call)).fields == (field,)


async def test_bytes_that_are_no_request_and_fields_that_nobody_knows_end_the_stream(server: Harness) -> None:
    path = "/memsvc.v1.ExtractionService/ObserveConversation"
    first = Stream(server).first.SerializeToString()
    for sent, reason in ((b"\xff\xff", "INVALID_FIELD"), (b"\xfa\x7d\x01a", "UNKNOWN_FIELD")):
        call = server.channel.stream_stream(path)()
        await call.write(first)
        await call.write(sent)
        assert (await failing(call)).reason == reason


async def test_a_position_that_is_wrong_is_named(server: Harness) -> None:
    for position, reason, field in (
        (pb.ExtractionPosition(extraction_id="e1"), "EXTRACTION_NOT_FOUND", "start.extractions[0].extraction_id"),
        (
            pb.ExtractionPosition(extraction_id="e1", resume_token="?"),
            "TOKEN_MISMATCH",
            "start.extractions[0].resume_token",
        ),
    ):
        stream = Stream(server, extractions=[position])
        await stream.begin()
        failure = await failing(stream.call)
        assert (failure.reason, failure.fields) == (reason, (field,))


async def test_a_database_that_is_gone_ends_the_stream_and_another_goes_on(server: Harness) -> None:
    stream = Stream(server)
    await stream.begin()
    await stream.say(1, "I ski")
    await stream.acknowledged(1)
    server.driver.broken = StorageUnavailable("database did not answer")
    await stream.say(2, "I row")
    failure = await failing(stream.call)
    server.driver.broken = None
    again = Stream(server)
    last = await again.begin()
    for number, text in ((1, "I ski"), (2, "I row")):
        await again.say(number, text)
    await again.finish()

    assert (failure.code, failure.reason) == (grpc.StatusCode.UNAVAILABLE, "STORAGE_UNAVAILABLE")
    assert last in (1, 2)
    assert await history(server) == ["I ski", "I row"]


async def test_an_attempt_that_failed_is_no_end(server: Harness) -> None:
    server.engine.failures = [Retryable(Reason.MODEL_UNAVAILABLE, "model is down")]
    stream = Stream(server)
    await stream.begin()
    await stream.say(1, "I ski")
    await stream.finish()

    assert [kind for _, _, kind in stream.events()] == ["accepted", "committed", "completed"]


async def test_an_erased_user_ends_learning_and_is_not_brought_back(server: Harness) -> None:
    server.engine.gate.clear()
    stream = Stream(server)
    await stream.begin()
    await stream.say(1, "I ski")
    await stream.acknowledged(1)
    await server.admin.EraseUser(admin_pb2.EraseUserRequest(scope=SARAH))
    server.engine.gate.set()
    await stream.finish()

    failed = [each.learning.event.failed for each in stream.replies if each.learning.event.HasField("failed")]
    assert [(each.state, each.reason) for each in failed] == [
        (extraction_pb2.EXTRACTION_STATE_CANCELLED, "USER_ERASED")
    ]
    assert await texts(server) == []


async def test_a_server_that_stops_says_so(server: Harness) -> None:
    stream = Stream(server)
    await stream.begin()
    await stream.say(1, "I ski")
    await stream.acknowledged(1)
    server.edge._draining.start()

    failure = await failing(stream.call)
    assert (failure.code, failure.reason) == (grpc.StatusCode.UNAVAILABLE, "SERVER_DRAINING")
