from __future__ import annotations

import asyncio
from typing import Any

import grpc
from rpc_harness import SARAH, Harness, failing, new_request_id, rest_of, said

from memsvc.errors import Permanent, Reason
from memsvc.v1 import admin_pb2, memory_pb2, session_pb2
from memsvc.v1 import common_pb2 as common
from memsvc.v1 import extraction_pb2 as pb

HINTS = ("progress", "proposed", "heartbeat")


def learn(*texts: str, **fields: Any) -> pb.ExtractMemoriesRequest:
    messages = pb.MessageList(messages=[said(text) for text in texts])
    return pb.ExtractMemoriesRequest(scope=SARAH, messages=messages, **fields)


async def events_of(stream: Any) -> list[pb.ExtractionEvent]:
    return [reply.event async for reply in stream]


def kinds(events: list[pb.ExtractionEvent], *, hints: bool = False) -> list[str]:
    names = [str(event.WhichOneof("event")) for event in events]
    return [name for name in names if hints or name not in HINTS]


async def test_learning_is_watched_from_acceptance_to_completion(each_server: Harness) -> None:
    events = await events_of(each_server.extractions.ExtractMemories(learn("I ski", "I sail")))
    stored = [event for event in events if event.WhichOneof("event") not in HINTS]

    assert kinds(events) == ["accepted", "committed", "completed"]
    assert [event.number for event in stored] == [1, 2, 3]
    assert all(event.resume_token for event in stored)
    assert all(not event.resume_token and not event.number for event in events if event not in stored)
    accepted, committed, completed = stored
    assert accepted.accepted.extraction.state == pb.EXTRACTION_STATE_WAITING
    assert accepted.accepted.extraction.kind == pb.EXTRACTION_KIND_MESSAGES
    assert [change.after.text for change in committed.committed.commit.changes] == ["I ski", "I sail"]
    assert committed.committed.commit.changes[0].cause == memory_pb2.CHANGE_CAUSE_EXTRACTED
    assert committed.committed.commit.changes[0].after.origin.engine == "learner"
    assert completed.completed.extraction.state == pb.EXTRACTION_STATE_SUCCEEDED
    assert completed.completed.extraction.change_count == 2


async def test_proposals_are_seen_while_the_engine_works(server: Harness) -> None:
    server.engine.gate.clear()
    stream = server.extractions.ExtractMemories(learn("I ski"))
    seen = []
    async for reply in stream:
        seen.append(reply.event)
        if reply.event.WhichOneof("event") == "proposed":
            server.engine.gate.set()
    proposed = next(event.proposed for event in seen if event.WhichOneof("event") == "proposed")

    assert (proposed.attempt, proposed.kind) == (1, memory_pb2.CHANGE_KIND_CREATED)
    assert (proposed.memory.text, proposed.memory.input) == ("I ski", "I ski")
    assert kinds(seen)[-1] == "completed"


async def test_nothing_to_learn_is_an_empty_commit(server: Harness) -> None:
    request = pb.ExtractMemoriesRequest(
        scope=SARAH, messages=pb.MessageList(messages=[said("Hello", common.ROLE_ASSISTANT)])
    )
    events = await events_of(server.extractions.ExtractMemories(request))
    committed = next(event.committed for event in events if event.WhichOneof("event") == "committed")

    assert (committed.commit.revision, len(committed.commit.changes)) == (0, 0)


async def test_a_failed_extraction_is_data_and_can_be_retried(each_server: Harness) -> None:
    each_server.engine.failures.append(Permanent(Reason.MODEL_REFUSED, "it would not"))
    events = await events_of(each_server.extractions.ExtractMemories(learn("I ski")))
    failed = next(event.failed for event in events if event.WhichOneof("event") == "failed")
    extraction_id = events[0].accepted.extraction.extraction_id
    retried = await each_server.extractions.RetryExtractions(pb.RetryExtractionsRequest(scope=SARAH))
    again = await events_of(
        each_server.extractions.WatchExtraction(
            pb.WatchExtractionRequest(scope=SARAH, extraction_id=extraction_id, resume_token=events[-1].resume_token)
        )
    )

    assert kinds(events) == ["accepted", "failed", "completed"]
    assert (failed.state, failed.reason, failed.detail) == (
        pb.EXTRACTION_STATE_FAILED,
        "MODEL_REFUSED",
        "it would not",
    )
    assert [each.extraction_id for each in retried.extractions] == [extraction_id]
    assert kinds(again) == ["committed", "completed"]
    assert [event.number for event in again if event.number] == [4, 5]
    watched = await events_of(
        each_server.extractions.WatchExtraction(pb.WatchExtractionRequest(scope=SARAH, extraction_id=extraction_id))
    )
    assert kinds(watched) == ["accepted", "failed", "retried", "committed", "completed"]
    assert [event.number for event in watched if event.number] == [1, 2, 3, 4, 5]


async def test_a_stream_resumes_after_each_of_its_tokens(each_server: Harness) -> None:
    events = await events_of(each_server.extractions.ExtractMemories(learn("I ski")))
    stored = [event for event in events if event.resume_token]
    extraction_id = stored[0].accepted.extraction.extraction_id
    for index, event in enumerate(stored):
        request = pb.WatchExtractionRequest(scope=SARAH, extraction_id=extraction_id, resume_token=event.resume_token)
        rest = await events_of(each_server.extractions.WatchExtraction(request))
        assert rest == stored[index + 1 :]
    request = pb.WatchExtractionRequest(scope=SARAH, extraction_id=extraction_id)
    assert await events_of(each_server.extractions.WatchExtraction(request)) == stored


async def test_the_same_request_attaches_to_the_same_extraction(server: Harness) -> None:
    server.engine.gate.clear()
    request = learn("I ski", request_id=new_request_id())
    first = server.extractions.ExtractMemories(request)
    accepted = await first.read()
    first.cancel()
    second = server.extractions.ExtractMemories(request)
    again = await second.read()
    server.engine.gate.set()
    rest = [reply.event for reply in await rest_of(second)]

    assert again.event.accepted.extraction.extraction_id == accepted.event.accepted.extraction.extraction_id
    assert kinds(rest) == ["committed", "completed"]
    listed = await server.memories.ListMemories(memory_pb2.ListMemoriesRequest(scope=SARAH))
    assert listed.total_size == 1


async def test_a_preview_stores_nothing(server: Harness) -> None:
    events = await events_of(server.extractions.ExtractMemories(learn("I ski", validate_only=True)))
    listed = await server.memories.ListMemories(memory_pb2.ListMemoriesRequest(scope=SARAH))
    extractions = await server.extractions.ListExtractions(pb.ListExtractionsRequest(scope=SARAH))

    assert kinds(events, hints=True) == ["accepted", "proposed", "committed", "completed"]
    assert events[2].committed.commit.changes[0].after.text == "I ski"
    assert (listed.revision, listed.total_size, len(extractions.extractions)) == (0, 0, 0)


async def test_stored_runs_are_learned_from_by_name(each_server: Harness) -> None:
    for run_id in ("r1", "r2"):
        run = session_pb2.Run(session_id="s1", run_id=run_id, messages=[said(f"I like {run_id}")])
        await each_server.sessions.AppendRun(
            session_pb2.AppendRunRequest(scope=SARAH, run=run, learning_mode=common.LEARNING_MODE_OFF)
        )
    named = pb.RunList(run_ids=["r2", "r1"])
    preview = await events_of(
        each_server.extractions.ExtractMemories(pb.ExtractMemoriesRequest(scope=SARAH, runs=named, validate_only=True))
    )
    events = await events_of(
        each_server.extractions.ExtractMemories(pb.ExtractMemoriesRequest(scope=SARAH, runs=named))
    )
    runs = await each_server.sessions.ListRuns(session_pb2.ListRunsRequest(scope=SARAH))

    for seen in (preview, events):
        committed = next(event.committed for event in seen if event.WhichOneof("event") == "committed")
        assert [change.after.text for change in committed.commit.changes] == ["I like r1", "I like r2"]
    assert list(events[-1].completed.extraction.run_ids) == ["r1", "r2"]
    assert [run.learning for run in runs.runs] == [common.LEARNING_STATE_LEARNED] * 2


async def test_unknown_runs_and_extractions_are_not_found(server: Harness) -> None:
    runs = pb.RunList(run_ids=["none"])
    for validate_only in (False, True):
        request = pb.ExtractMemoriesRequest(scope=SARAH, runs=runs, validate_only=validate_only)
        failure = await failing(server.extractions.ExtractMemories(request))
        assert (failure.code, failure.reason) == (grpc.StatusCode.NOT_FOUND, "RUN_NOT_FOUND")
    calls = [
        server.extractions.GetExtraction(pb.GetExtractionRequest(scope=SARAH, extraction_id="none")),
        server.extractions.WatchExtraction(pb.WatchExtractionRequest(scope=SARAH, extraction_id="none")),
        server.extractions.CancelExtraction(pb.CancelExtractionRequest(scope=SARAH, extraction_id="none")),
        server.extractions.RetryExtractions(pb.RetryExtractionsRequest(scope=SARAH, extraction_ids=["none"])),
    ]
    for call in calls:
        failure = await failing(call)
        assert (failure.code, failure.reason) == (grpc.StatusCode.NOT_FOUND, "EXTRACTION_NOT_FOUND")


async def test_a_cancelled_extraction_ends_its_streams_and_skips_its_runs(each_server: Harness) -> None:
    each_server.engine.gate.clear()
    run = session_pb2.Run(session_id="s1", messages=[said("I ski")])
    accepted = await each_server.sessions.AppendRun(session_pb2.AppendRunRequest(scope=SARAH, run=run))
    stream = each_server.extractions.WatchExtraction(
        pb.WatchExtractionRequest(scope=SARAH, extraction_id=accepted.extraction_id)
    )
    await stream.read()
    await each_server.engine.reading.wait()
    cancel = pb.CancelExtractionRequest(scope=SARAH, extraction_id=accepted.extraction_id)
    cancelled = await each_server.extractions.CancelExtraction(cancel)
    rest = [reply.event for reply in await rest_of(stream)]
    failure = await failing(each_server.extractions.CancelExtraction(cancel))
    each_server.engine.gate.set()
    runs = await each_server.sessions.ListRuns(session_pb2.ListRunsRequest(scope=SARAH))
    listed = await each_server.memories.ListMemories(memory_pb2.ListMemoriesRequest(scope=SARAH))

    assert cancelled.extraction.state == pb.EXTRACTION_STATE_CANCELLED
    assert kinds(rest) == ["failed", "completed"]
    assert rest[-2].failed.reason == "CANCELLED_BY_REQUEST"
    assert (failure.code, failure.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "EXTRACTION_ENDED")
    assert (runs.runs[0].learning, listed.total_size) == (common.LEARNING_STATE_SKIPPED, 0)


async def test_extractions_are_listed_newest_first_by_state_and_session(each_server: Harness) -> None:
    each_server.engine.failures.append(Permanent(Reason.MODEL_REFUSED, "it would not"))
    ids = []
    for text in ("a", "b", "c"):
        events = await events_of(each_server.extractions.ExtractMemories(learn(text)))
        ids.append(events[0].accepted.extraction.extraction_id)

    async def listed(**fields: Any) -> list[str]:
        seen: list[str] = []
        request = pb.ListExtractionsRequest(scope=SARAH, page_size=2, **fields)
        while True:
            page = await each_server.extractions.ListExtractions(request)
            seen.extend(each.extraction_id for each in page.extractions)
            request.page_token = page.next_page_token
            if not request.page_token:
                return seen

    assert await listed() == ids[::-1]
    assert await listed(states=[pb.EXTRACTION_STATE_FAILED]) == ids[:1]
    assert await listed(session_id="s1") == []


async def test_a_quiet_stream_has_a_heartbeat(server: Harness) -> None:
    server.application.extractions.heartbeat_seconds = 0.02
    server.engine.gate.clear()
    stream = server.extractions.ExtractMemories(learn("I ski"))
    async for reply in stream:
        if reply.event.WhichOneof("event") == "heartbeat":
            break
    else:
        raise AssertionError("no heartbeat")
    stream.cancel()


async def test_a_client_that_vanishes_cancels_nothing_and_leaves_nothing_behind(server: Harness) -> None:
    server.engine.gate.clear()
    stream = server.extractions.ExtractMemories(learn("I ski"))
    accepted = (await stream.read()).event.accepted.extraction
    stream.cancel()
    while server.application.extractions.hints._listeners or server.application.users.moves._events:
        await asyncio.sleep(0)
    server.engine.gate.set()
    watched = await events_of(
        server.extractions.WatchExtraction(pb.WatchExtractionRequest(scope=SARAH, extraction_id=accepted.extraction_id))
    )

    assert kinds(watched) == ["accepted", "committed", "completed"]


async def test_all_that_failed_in_a_namespace_is_retried_at_once(each_server: Harness) -> None:
    each_server.engine.failures.extend(Permanent(Reason.MODEL_REFUSED, "it would not") for _ in range(3))
    for user_id in ("ada", "ben", "cyd"):
        request = learn("I ski")
        request.scope.user_id = user_id
        await events_of(each_server.extractions.ExtractMemories(request))
    scope = common.Scope(namespace=SARAH.namespace)
    request = pb.RetryExtractionsRequest(scope=scope, all_users=True)
    stats = await each_server.admin.GetStats(admin_pb2.GetStatsRequest(scope=common.Scope(user_id="ada")))
    info = await each_server.admin.GetServerInfo(admin_pb2.GetServerInfoRequest())
    retried = await each_server.extractions.RetryExtractions(request)
    again = await each_server.extractions.RetryExtractions(request)

    assert (stats.failed_extraction_count, stats.failed_reason) == (1, "MODEL_REFUSED")
    assert (info.failed_extraction_count, info.failed_reason) == (3, "MODEL_REFUSED")
    assert (retried.retried_count, len(retried.extractions), retried.next_page_token) == (3, 0, "")
    assert again.retried_count == 0


async def test_a_retry_of_everybody_names_nobody(server: Harness) -> None:
    for wrong, field in (
        (pb.RetryExtractionsRequest(scope=SARAH, all_users=True), "scope.user_id"),
        (pb.RetryExtractionsRequest(all_users=True, extraction_ids=["x"]), "extraction_ids"),
        (pb.RetryExtractionsRequest(all_users=True, page_token="x"), "page_token"),
        (pb.RetryExtractionsRequest(scope=SARAH, page_token="x"), "page_token"),
    ):
        failure = await failing(server.extractions.RetryExtractions(wrong))
        assert failure.code is grpc.StatusCode.INVALID_ARGUMENT
        assert field in failure.fields
