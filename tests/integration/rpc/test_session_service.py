from __future__ import annotations

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from msgspec.structs import force_setattr
from rpc_harness import SARAH, Harness, failing, said

from memsvc.sessions import Quiet
from memsvc.v1 import common_pb2 as common
from memsvc.v1 import extraction_pb2, memory_pb2, message_pb2
from memsvc.v1 import session_pb2 as pb

WAIT = Duration(seconds=10)


async def append(server: Harness, text: str, session_id: str = "s1", **fields: object) -> pb.AppendRunResponse:
    run = pb.Run(session_id=session_id, messages=[said(text)], **fields)  # type: ignore[arg-type]
    reply: pb.AppendRunResponse = await server.sessions.AppendRun(pb.AppendRunRequest(scope=SARAH, run=run))
    return reply


async def test_a_run_is_stored_and_learned_from(each_server: Harness) -> None:
    run = pb.Run(session_id="s1", messages=[said("I ski"), said("Nice!", common.ROLE_ASSISTANT)])
    reply = await each_server.sessions.AppendRun(
        pb.AppendRunRequest(scope=SARAH, run=run, wait_for_learning=WAIT), timeout=30
    )
    runs = await each_server.sessions.ListRuns(pb.ListRunsRequest(scope=SARAH, session_id="s1"))

    assert (reply.index, reply.learning) == (1, common.LEARNING_STATE_LEARNED)
    assert reply.extraction.state == extraction_pb2.EXTRACTION_STATE_SUCCEEDED
    assert reply.extraction.usage.input_tokens == 10
    assert [change.after.text for change in reply.commit.changes] == ["I ski"]
    assert reply.commit.changes[0].after.origin.run_id == reply.run_id
    assert (runs.runs[0].run_id, runs.runs[0].learning) == (reply.run_id, common.LEARNING_STATE_LEARNED)
    assert runs.runs[0].extraction_id == reply.extraction_id == reply.extraction.extraction_id


async def test_a_run_without_learning_has_no_extraction(server: Harness) -> None:
    run = pb.Run(session_id="s1", run_id="r1", messages=[said("I ski")])
    reply = await server.sessions.AppendRun(
        pb.AppendRunRequest(scope=SARAH, run=run, learning_mode=common.LEARNING_MODE_OFF, wait_for_learning=WAIT)
    )

    assert (reply.run_id, reply.extraction_id, reply.learning) == ("r1", "", common.LEARNING_STATE_OFF)
    assert not reply.HasField("extraction")


async def test_a_wait_ends_when_its_time_is_over(server: Harness) -> None:
    server.engine.gate.clear()
    run = pb.Run(session_id="s1", messages=[said("I ski")])
    request = pb.AppendRunRequest(scope=SARAH, run=run, wait_for_learning=Duration(nanos=20_000_000))
    reply = await server.sessions.AppendRun(request)

    assert reply.learning == common.LEARNING_STATE_PENDING
    assert reply.extraction.state in (
        extraction_pb2.EXTRACTION_STATE_WAITING,
        extraction_pb2.EXTRACTION_STATE_RUNNING,
    )
    assert not reply.HasField("commit")


async def test_a_wait_ends_before_the_deadline_of_its_call(server: Harness) -> None:
    server.engine.gate.clear()
    run = pb.Run(session_id="s1", messages=[said("I ski")])
    reply = await server.sessions.AppendRun(
        pb.AppendRunRequest(scope=SARAH, run=run, wait_for_learning=Duration(seconds=3600)), timeout=2.0
    )

    assert reply.learning == common.LEARNING_STATE_PENDING


async def test_a_taken_run_id_is_refused(server: Harness) -> None:
    await append(server, "I ski", run_id="r1")
    run = pb.Run(session_id="s2", run_id="r1", messages=[said("I sail")])
    failure = await failing(server.sessions.AppendRun(pb.AppendRunRequest(scope=SARAH, run=run)))

    assert (failure.code, failure.reason) == (grpc.StatusCode.ALREADY_EXISTS, "RUN_EXISTS")
    assert (failure.fields, failure.metadata) == (("run.run_id",), {"run_id": "r1"})


async def test_messages_of_every_kind_come_back_as_they_were(each_server: Harness) -> None:
    messages = [
        message_pb2.Message(
            message_id="m1",
            role=common.ROLE_USER,
            author_id="bob",
            name="Bob",
            time=Timestamp(seconds=1_700_000_000),
            parts=[
                message_pb2.Part(text=message_pb2.TextPart(text="Look — 日本 🎿\n\t")),
                message_pb2.Part(
                    media=message_pb2.MediaPart(mime_type="image/png", uri="https://x/y.png", caption="a slope")
                ),
            ],
        ),
        message_pb2.Message(
            role=common.ROLE_ASSISTANT,
            time=Timestamp(seconds=1_700_000_001),
            parts=[
                message_pb2.Part(
                    tool_call=message_pb2.ToolCallPart(id="c1", name="weather", arguments_json='{"city": "Oslo"}')
                ),
                message_pb2.Part(provider=message_pb2.ProviderPart(provider="anthropic", json='{"type": "thinking"}')),
            ],
        ),
        message_pb2.Message(
            role=common.ROLE_TOOL,
            time=Timestamp(seconds=1_700_000_002),
            parts=[
                message_pb2.Part(
                    tool_result=message_pb2.ToolResultPart(
                        call_id="c1",
                        parts=[
                            message_pb2.Part(text=message_pb2.TextPart(text="cold")),
                            message_pb2.Part(media=message_pb2.MediaPart(mime_type="image/png", uri="s3://b/snow.png")),
                            message_pb2.Part(provider=message_pb2.ProviderPart(json="[1, null]")),
                        ],
                        is_error=True,
                    )
                )
            ],
        ),
    ]
    run = pb.Run(
        session_id="s1", run_id="r1", messages=messages, agent_id="a", metadata={"k": "v"}, context_memory_ids=["m"]
    )
    await each_server.sessions.AppendRun(
        pb.AppendRunRequest(scope=SARAH, run=run, learning_mode=common.LEARNING_MODE_OFF)
    )
    history = await each_server.sessions.GetHistory(pb.GetHistoryRequest(scope=SARAH, session_id="s1"))
    listed = await each_server.sessions.ListRuns(pb.ListRunsRequest(scope=SARAH))

    assert list(history.messages) == list(listed.runs[0].messages) == messages
    stored = listed.runs[0]
    assert (stored.agent_id, dict(stored.metadata), list(stored.context_memory_ids)) == ("a", {"k": "v"}, ["m"])
    assert stored.create_time.seconds > 0


async def test_history_is_the_last_runs_by_role_without_the_replaced(each_server: Harness) -> None:
    for index in range(4):
        await append(each_server, f"text {index}", run_id=f"r{index}")
    await append(each_server, "text 3 again", run_id="r4", replaces_run_id="r3")
    history = await each_server.sessions.GetHistory(
        pb.GetHistoryRequest(scope=SARAH, session_id="s1", last_runs=2, roles=[common.ROLE_USER])
    )
    with_replaced = await each_server.sessions.ListRuns(
        pb.ListRunsRequest(scope=SARAH, session_id="s1", include_replaced=True, descending=True)
    )

    assert [message.parts[0].text.text for message in history.messages] == ["text 2", "text 3 again"]
    assert (history.run_count, history.has_more) == (2, True)
    assert [run.run_id for run in with_replaced.runs] == ["r4", "r3", "r2", "r1", "r0"]
    assert [run.replaced for run in with_replaced.runs] == [False, True, False, False, False]


async def test_a_run_replaces_only_one_of_its_session(server: Harness) -> None:
    await append(server, "I ski", session_id="other", run_id="r1")
    run = pb.Run(session_id="s1", messages=[said("I sail")], replaces_run_id="r1")
    failure = await failing(server.sessions.AppendRun(pb.AppendRunRequest(scope=SARAH, run=run)))

    assert (failure.code, failure.fields) == (grpc.StatusCode.NOT_FOUND, ("run.replaces_run_id",))


async def test_sessions_are_listed_last_used_first(each_server: Harness) -> None:
    for session_id in ("a", "b", "a"):
        await append(each_server, "hello", session_id=session_id, agent_id="support")
    listed = await each_server.sessions.ListSessions(pb.ListSessionsRequest(scope=SARAH))
    one = await each_server.sessions.GetSession(pb.GetSessionRequest(scope=SARAH, session_id="a"))
    failure = await failing(each_server.sessions.GetSession(pb.GetSessionRequest(scope=SARAH, session_id="none")))

    assert [session.session_id for session in listed.sessions] == ["a", "b"]
    assert one.session == listed.sessions[0]
    assert (one.session.run_count, one.session.message_count, one.session.agent_id) == (2, 2, "support")
    assert (failure.code, failure.reason) == (grpc.StatusCode.NOT_FOUND, "SESSION_NOT_FOUND")


@pytest.mark.parametrize("forget", [False, True])
async def test_a_deleted_session_leaves_what_was_learned_unless_told_otherwise(server: Harness, forget: bool) -> None:
    run = pb.Run(session_id="s1", messages=[said("I ski")])
    await server.sessions.AppendRun(pb.AppendRunRequest(scope=SARAH, run=run, wait_for_learning=WAIT))
    deleted = await server.sessions.DeleteSession(
        pb.DeleteSessionRequest(scope=SARAH, session_id="s1", forget_learned=forget, purge=forget)
    )
    listed = await server.memories.ListMemories(memory_pb2.ListMemoriesRequest(scope=SARAH))
    runs = await server.sessions.ListRuns(pb.ListRunsRequest(scope=SARAH))

    assert (deleted.deleted_run_count, deleted.forgotten_memory_count) == (1, int(forget))
    assert (listed.total_size, len(runs.runs)) == (1 - forget, 0)
    missing = pb.DeleteSessionRequest(scope=SARAH, session_id="s1")
    assert (await failing(server.sessions.DeleteSession(missing))).reason == "SESSION_NOT_FOUND"
    missing.allow_missing = True
    assert (await server.sessions.DeleteSession(missing)).deleted_run_count == 0


async def test_pages_of_runs_go_on_where_they_ended(each_server: Harness) -> None:
    for index in range(5):
        await append(each_server, f"text {index}", session_id="even" if index % 2 == 0 else "odd")
    for descending in (False, True):
        request = pb.ListRunsRequest(scope=SARAH, page_size=2, descending=descending)
        seen: list[int] = []
        while True:
            page = await each_server.sessions.ListRuns(request)
            seen.extend(run.index for run in page.runs)
            request.page_token = page.next_page_token
            if not request.page_token:
                break
        assert seen == sorted([1, 2, 3, 4, 5], reverse=descending)


async def test_large_runs_make_short_pages_and_short_histories(server: Harness) -> None:
    for _ in range(4):
        messages = [said("x" * 250_000) for _ in range(4)]
        run = pb.Run(session_id="s1", messages=messages)
        await server.sessions.AppendRun(
            pb.AppendRunRequest(scope=SARAH, run=run, learning_mode=common.LEARNING_MODE_OFF)
        )
    page = await server.sessions.ListRuns(pb.ListRunsRequest(scope=SARAH))
    rest = await server.sessions.ListRuns(pb.ListRunsRequest(scope=SARAH, page_token=page.next_page_token))
    history = await server.sessions.GetHistory(pb.GetHistoryRequest(scope=SARAH, session_id="s1"))

    assert (len(page.runs), len(rest.runs), rest.next_page_token) == (3, 1, "")
    assert (history.run_count, history.has_more) == (3, True)
    assert all(reply.ByteSize() < 3 << 20 for reply in (page, rest, history))


async def test_runs_that_follow_each_other_share_an_extraction(server: Harness) -> None:
    force_setattr(server.application, "quiet", Quiet(60.0, 60.0))
    first, second = await append(server, "I ski"), await append(server, "I sail")
    other = await append(server, "I climb", session_id="s2")
    run = pb.Run(session_id="s1", messages=[said("I row")])
    last = await server.sessions.AppendRun(pb.AppendRunRequest(scope=SARAH, run=run, wait_for_learning=WAIT))

    assert first.extraction_id == second.extraction_id == last.extraction_id != other.extraction_id
    assert list(last.extraction.run_ids) == [first.run_id, second.run_id, last.run_id]
    assert sorted(change.after.text for change in last.commit.changes) == ["I row", "I sail", "I ski"]


async def test_what_was_said_is_found_by_words_with_its_session_run_and_time(each_server: Harness) -> None:
    server = each_server
    for session_id, text in (("s1", "We took in a greyhound, Comet"), ("s2", "The greyhound is afraid of thunder")):
        await append(server, text, session_id)

    found = await server.sessions.SearchHistory(
        pb.SearchHistoryRequest(scope=SARAH, query="greyhound thunder", top_k=1, beside_count=1)
    )
    only = await server.sessions.SearchHistory(
        pb.SearchHistoryRequest(scope=SARAH, query="greyhound", session_ids=["s1"])
    )

    (passage,) = found.passages
    assert (passage.session_id, passage.run_index) == ("s2", 2)
    assert passage.run_id
    assert passage.message.parts[0].text.text == "The greyhound is afraid of thunder"
    assert passage.message.HasField("time")
    assert 0 < passage.score <= 1
    assert [passage.session_id for passage in only.passages] == ["s1"]
