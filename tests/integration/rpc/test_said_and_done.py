"""What the comments of the protos say, and a reader would not guess: each held against the server."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.timestamp_pb2 import Timestamp
from rpc_harness import SARAH, Harness, failing, new_request_id, rest_of, said

from memsvc.v1 import common_pb2 as common
from memsvc.v1 import context_pb2, extraction_pb2, message_pb2, session_pb2
from memsvc.v1 import memory_pb2 as pb

PROFILE = common.LAYER_PROFILE
FEEDBACK = common.LAYER_FEEDBACK


async def create(server: Harness, text: str, **fields: Any) -> pb.Memory:
    request = pb.CreateMemoryRequest(scope=SARAH, memory=pb.Memory(text=text, **fields))
    created: pb.Memory = (await server.memories.CreateMemory(request)).memory
    return created


def changing(memory: pb.Memory, *paths: str, **fields: Any) -> pb.UpdateMemoryRequest:
    mask = FieldMask(paths=paths or ["text"])
    return pb.UpdateMemoryRequest(scope=SARAH, memory=memory, update_mask=mask, **fields)


async def append(server: Harness, *texts: str, **fields: Any) -> session_pb2.AppendRunResponse:
    run = session_pb2.Run(session_id="s1", messages=[said(text) for text in texts], **fields)
    request = session_pb2.AppendRunRequest(scope=SARAH, run=run, learning_mode=common.LEARNING_MODE_OFF)
    reply: session_pb2.AppendRunResponse = await server.sessions.AppendRun(request)
    return reply


async def extraction(server: Harness, extraction_id: str) -> extraction_pb2.Extraction:
    request = extraction_pb2.GetExtractionRequest(scope=SARAH, extraction_id=extraction_id)
    found: extraction_pb2.Extraction = (await server.extractions.GetExtraction(request)).extraction
    return found


async def cancelled_and_retried(server: Harness) -> tuple[list[extraction_pb2.ExtractionEvent], str]:
    """Have an extraction cancelled and retried; return the events of its first try, and its id."""
    server.engine.gate.clear()
    messages = extraction_pb2.MessageList(messages=[said("I ski")])
    stream = server.extractions.ExtractMemories(extraction_pb2.ExtractMemoriesRequest(scope=SARAH, messages=messages))
    first = (await stream.read()).event
    extraction_id = first.accepted.extraction.extraction_id
    cancelling = extraction_pb2.CancelExtractionRequest(scope=SARAH, extraction_id=extraction_id)
    await server.extractions.CancelExtraction(cancelling)
    rest = [reply.event for reply in await rest_of(stream)]
    server.engine.gate.set()
    retrying = extraction_pb2.RetryExtractionsRequest(scope=SARAH, extraction_ids=[extraction_id])
    await server.extractions.RetryExtractions(retrying)
    return [event for event in (first, *rest) if event.number], extraction_id


async def watched(server: Harness, extraction_id: str, token: str = "") -> list[extraction_pb2.ExtractionEvent]:
    request = extraction_pb2.WatchExtractionRequest(scope=SARAH, extraction_id=extraction_id, resume_token=token)
    return [reply.event async for reply in server.extractions.WatchExtraction(request) if reply.event.number]


async def test_the_events_of_an_extraction_are_the_same_whoever_looks_and_whenever(each_server: Harness) -> None:
    before, extraction_id = await cancelled_and_retried(each_server)
    again = await watched(each_server, extraction_id)

    assert [(event.number, event.WhichOneof("event")) for event in before] == [
        (1, "accepted"),
        (2, "failed"),
        (3, "completed"),
    ]
    assert [(event.number, event.WhichOneof("event")) for event in again] == [
        (1, "accepted"),
        (2, "failed"),
        (3, "retried"),
        (4, "committed"),
        (5, "completed"),
    ]
    assert again[:2] == before[:2]
    for event in before:
        assert await watched(each_server, extraction_id, event.resume_token) == again[event.number :]


async def test_a_retry_does_not_change_when_an_extraction_was_accepted(each_server: Harness) -> None:
    before, extraction_id = await cancelled_and_retried(each_server)
    await watched(each_server, extraction_id)

    assert before[-1].completed.extraction.create_time == (await extraction(each_server, extraction_id)).create_time


async def test_a_session_is_of_the_last_agent_that_was_named(server: Harness) -> None:
    await append(server, "a", agent_id="support", team_id="east")
    await append(server, "b")
    request = session_pb2.GetSessionRequest(scope=SARAH, session_id="s1")
    session = (await server.sessions.GetSession(request)).session

    assert (session.agent_id, session.team_id, session.run_count) == ("support", "east", 2)


async def test_a_document_is_json_also_where_the_layers_asked_for_are_empty(server: Harness) -> None:
    await create(server, "Skis")
    request = pb.GetUserMemoryRequest(scope=SARAH, layers=[PROFILE])
    reply = await server.memories.GetUserMemory(request)

    assert (json.loads(reply.document_json), reply.memory_count, reply.revision) == ({}, 0, 1)


async def test_feedback_is_in_its_lists_with_a_key_or_without(server: Harness) -> None:
    for text, fields in (
        ("Lists help", {"polarity": common.POLARITY_POSITIVE}),
        ("Too long", {"polarity": common.POLARITY_NEGATIVE, "key": "length", "value_json": "9"}),
        ("Asked twice", {}),
        ("Short", {"key": "style.length", "value_json": '"short"'}),
        ("Kept", {"key": "notes.kept"}),
        ("Good", {"key": "positive"}),
    ):
        await create(server, text, layer=FEEDBACK, **fields)  # type: ignore[arg-type]
    reply = await server.memories.GetUserMemory(pb.GetUserMemoryRequest(scope=SARAH, layers=[FEEDBACK]))

    assert json.loads(reply.document_json)["feedback"] == {
        "positive": ["Lists help"],
        "negative": ["Too long"],
        "notes": ["Asked twice"],
        "style": {"length": "short"},
        "_notes": {"kept": "Kept"},
        "_positive": "Good",
    }


@pytest.mark.parametrize(
    ("given", "stored"),
    [("", "{}"), ('{"city": "Oslo"}', '{"city": "Oslo"}'), (' {"a": {"b": [1]}} ', ' {"a": {"b": [1]}} ')],
)
async def test_arguments_are_a_json_object_as_it_was_given(server: Harness, given: str, stored: str) -> None:
    call = message_pb2.Part(tool_call=message_pb2.ToolCallPart(id="c1", name="look", arguments_json=given))
    message = message_pb2.Message(role=common.ROLE_ASSISTANT, parts=[call])
    run = session_pb2.Run(session_id="s1", messages=[message])
    await server.sessions.AppendRun(session_pb2.AppendRunRequest(scope=SARAH, run=run))
    history = await server.sessions.GetHistory(session_pb2.GetHistoryRequest(scope=SARAH, session_id="s1"))

    assert history.messages[0].parts[0].tool_call.arguments_json == stored


async def test_a_page_token_goes_on_with_another_page_size_and_consistency_and_nothing_else(server: Harness) -> None:
    for index in range(6):
        await create(server, f"text {index}")
    request = pb.ListMemoriesRequest(scope=SARAH, page_size=2)
    first = await server.memories.ListMemories(request)
    request.page_token, request.page_size = first.next_page_token, 3
    request.consistency.at_least_revision = 1
    second = await server.memories.ListMemories(request)
    request.order = pb.MEMORY_ORDER_KEY
    failure = await failing(server.memories.ListMemories(request))

    assert [memory.text for memory in second.memories] == ["text 3", "text 2", "text 1"]
    assert (failure.reason, failure.fields) == ("TOKEN_MISMATCH", ("page_token",))


@pytest.mark.parametrize("method", [pb.SEARCH_METHOD_HYBRID, pb.SEARCH_METHOD_SEMANTIC])
async def test_a_search_by_meaning_needs_an_embedder(server: Harness, method: Any) -> None:
    failure = await failing(
        server.memories.SearchMemories(pb.SearchMemoriesRequest(scope=SARAH, query="skis", method=method))
    )

    assert (failure.code, failure.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "NO_EMBEDDER")


@pytest.mark.parametrize("method", [pb.SEARCH_METHOD_LAST_N, pb.SEARCH_METHOD_FIRST_N])
@pytest.mark.parametrize("query", ["skis", " ", "?"])
async def test_the_newest_and_oldest_are_not_searched_for_words(server: Harness, method: Any, query: str) -> None:
    failure = await failing(
        server.memories.SearchMemories(pb.SearchMemoriesRequest(scope=SARAH, query=query, method=method))
    )

    assert (failure.code, failure.fields) == (grpc.StatusCode.INVALID_ARGUMENT, ("query",))


async def test_a_commit_names_its_request_or_its_extraction(each_server: Harness) -> None:
    request_id = new_request_id()
    memory = pb.Memory(text="Skis")
    await each_server.memories.CreateMemory(pb.CreateMemoryRequest(scope=SARAH, memory=memory, request_id=request_id))
    run = session_pb2.Run(session_id="s1", messages=[said("I sail")])
    learned = await each_server.sessions.AppendRun(
        session_pb2.AppendRunRequest(
            scope=SARAH, run=run, request_id=new_request_id(), wait_for_learning=Duration(seconds=20)
        ),
        timeout=30,
    )
    changes = await each_server.memories.ListMemoryChanges(pb.ListMemoryChangesRequest(scope=SARAH))

    assert [(commit.request_id, commit.extraction_id) for commit in changes.commits] == [
        ("", learned.extraction_id),
        (request_id, ""),
    ]


def operations(*given: pb.BatchWriteOperation) -> pb.BatchWriteMemoriesRequest:
    return pb.BatchWriteMemoriesRequest(scope=SARAH, operations=given)


def deletion(**target: Any) -> pb.BatchWriteOperation:
    return pb.BatchWriteOperation(delete=pb.DeleteOperation(**target))


def renewal(memory: pb.Memory, *, allow_missing: bool = False) -> pb.BatchWriteOperation:
    mask = FieldMask(paths=["text"])
    update = pb.UpdateOperation(memory=memory, update_mask=mask, allow_missing=allow_missing)
    return pb.BatchWriteOperation(update=update)


def creation(**fields: Any) -> pb.BatchWriteOperation:
    return pb.BatchWriteOperation(create=pb.CreateOperation(memory=pb.Memory(text="new", **fields)))


ROLE = pb.KeyAddress(layer=PROFILE, key="role")
AT_ROLE = pb.Memory(layer=PROFILE, key="role", text="Nurse")


@pytest.mark.parametrize(
    "twice",
    [
        (deletion(memory_id="m1"), renewal(AT_ROLE)),
        (deletion(memory_id="m1"), renewal(AT_ROLE, allow_missing=True)),
        (deletion(memory_id="m1"), deletion(address=ROLE)),
        (deletion(address=ROLE), renewal(pb.Memory(memory_id="m1", text="Nurse"))),
        (deletion(address=ROLE), creation(memory_id="m1")),
        (renewal(AT_ROLE), deletion(memory_id="m1")),
        (creation(layer=PROFILE, key="name"), renewal(pb.Memory(layer=PROFILE, key="name", text="x"))),
    ],
)
async def test_a_batch_names_each_memory_once_by_whatever_name(
    server: Harness, twice: tuple[pb.BatchWriteOperation, ...]
) -> None:
    await create(server, "Pilot", memory_id="m1", layer=PROFILE, key="role")
    failure = await failing(server.memories.BatchWriteMemories(operations(*twice)))

    assert (failure.code, failure.fields) == (grpc.StatusCode.INVALID_ARGUMENT, ("operations[1]",))


async def test_a_batch_may_put_another_memory_in_the_place_of_one(server: Harness) -> None:
    await create(server, "Pilot", memory_id="m1", layer=PROFILE, key="role")
    request = operations(deletion(memory_id="m1"), creation(memory_id="m2", layer=PROFILE, key="role"))
    reply = await server.memories.BatchWriteMemories(request)

    assert [change.kind for change in reply.commit.changes] == [pb.CHANGE_KIND_DELETED, pb.CHANGE_KIND_CREATED]


async def test_topics_are_counted_whatever_their_case_and_written_as_most_write_them(server: Harness) -> None:
    for topics in (["Case", "case"], ["CASE"], ["case", "other"], ["Straße"], ["STRASSE"], ["Strasse"]):
        await create(server, "x", topics=topics)
    listed = await server.memories.ListTopics(pb.ListTopicsRequest(scope=SARAH))
    pages, token = [], ""
    while True:
        request = pb.ListTopicsRequest(scope=SARAH, page_size=1, page_token=token)
        page = await server.memories.ListTopics(request)
        pages += page.topics
        token = page.next_page_token
        if not token:
            break

    assert [(each.topic, each.count) for each in listed.topics] == [("case", 3), ("STRASSE", 3), ("other", 1)]
    assert pages == list(listed.topics)
    for each in listed.topics:
        wanted = common.MemoryFilter(topics_any=[each.topic])
        reply = await server.memories.ListMemories(pb.ListMemoriesRequest(scope=SARAH, filter=wanted))
        assert reply.total_size == each.count


@pytest.mark.parametrize("wrapper", [True, False])
async def test_stable_sections_are_the_beginning_of_the_text_that_no_query_changes(
    server: Harness, wrapper: bool
) -> None:
    for index in range(60):
        await create(server, f"Knows thing number {index} about skis and boats", topics=["x"])
    await create(server, "Short answers", layer=common.LAYER_POLICY, key="style")

    async def compiled(query: str, characters: int) -> context_pb2.CompileContextResponse:
        budget = context_pb2.ContextBudget(max_characters=characters)
        request = context_pb2.CompileContextRequest(scope=SARAH, query=query, budget=budget, wrapper=wrapper)
        reply: context_pb2.CompileContextResponse = await server.contexts.CompileContext(request)
        return reply

    one, other = await compiled("thing 7", 600), await compiled("thing 42", 600)
    whole = await compiled("thing 7", 50_000)

    stable = [section.stable for section in one.sections]
    assert stable == sorted(stable, reverse=True)
    assert set(stable) == {True, False}
    beginnings = ["".join(each.text for each in reply.sections if each.stable) for reply in (one, other)]
    assert beginnings[0] == beginnings[1]
    assert one.text.startswith(beginnings[0])
    assert one.text != other.text
    assert all(section.stable for section in whole.sections)
    wrapped = [section.kind for section in whole.sections if section.kind == context_pb2.CONTEXT_SECTION_KIND_WRAPPER]
    assert len(wrapped) == 2 * wrapper
    assert all(bool(each.layer) == (each.kind == context_pb2.CONTEXT_SECTION_KIND_MEMORIES) for each in whole.sections)


async def test_a_mask_has_the_names_of_the_protos(server: Harness) -> None:
    memory = await create(server, "Pilot", layer=PROFILE, key="role", value_json='"pilot"')
    changed = pb.Memory(memory_id=memory.memory_id, value_json='"nurse"')
    failure = await failing(server.memories.UpdateMemory(changing(changed, "valueJson")))
    await server.memories.UpdateMemory(changing(changed, "value_json"))
    got = await server.memories.GetMemory(pb.GetMemoryRequest(scope=SARAH, memory_id=memory.memory_id))

    assert failure.fields == ("update_mask.paths[0]",)
    assert failure.message == "update_mask.paths[0]: is named value_json here"
    assert got.memory.value_json == '"nurse"'


@pytest.mark.parametrize("method", ["AppendRun", "CompileContext"])
async def test_learning_is_waited_for_at_most_an_hour(server: Harness, method: str) -> None:
    run = session_pb2.Run(session_id="s1", messages=[said("I ski")])
    wait = Duration(seconds=3_600, nanos=1)
    failure = await failing(
        server.sessions.AppendRun(session_pb2.AppendRunRequest(scope=SARAH, run=run, wait_for_learning=wait))
        if method == "AppendRun"
        else server.contexts.CompileContext(context_pb2.CompileContextRequest(scope=SARAH, wait_for_learning=wait))
    )

    assert failure.message == "wait_for_learning: must be at most 3600 seconds"


async def test_an_update_that_changes_nothing_makes_a_revision(server: Harness) -> None:
    memory = await create(server, "Skis")
    reply = await server.memories.UpdateMemory(changing(memory))

    assert (reply.revision, reply.memory.text) == (2, "Skis")
    assert reply.memory.update_time.ToNanoseconds() > memory.update_time.ToNanoseconds()
    assert reply.memory.etag != memory.etag


async def test_a_memory_that_has_expired_already_is_not_seen(server: Harness) -> None:
    reply = await create(server, "Was in Paris", expire_time=Timestamp(seconds=1_000_000))
    failure = await failing(server.memories.GetMemory(pb.GetMemoryRequest(scope=SARAH, memory_id=reply.memory_id)))

    assert failure.reason == "MEMORY_NOT_FOUND"


async def test_a_preview_has_the_events_of_an_extraction_without_its_names(server: Harness) -> None:
    messages = extraction_pb2.MessageList(messages=[said("I ski")])
    request = extraction_pb2.ExtractMemoriesRequest(scope=SARAH, messages=messages, validate_only=True)
    events = [reply.event async for reply in server.extractions.ExtractMemories(request)]

    assert [event.WhichOneof("event") for event in events] == ["accepted", "proposed", "committed", "completed"]
    assert all((event.number, event.resume_token) == (0, "") for event in events)
    assert events[0].accepted.extraction.extraction_id == events[-1].completed.extraction.extraction_id == ""
    assert events[2].committed.commit.revision == 0
    assert events[2].committed.commit.changes[0].after.text == "I ski"


async def test_a_write_of_the_first_revision_expects_revision_0(each_server: Harness) -> None:
    first = pb.CreateMemoryRequest(scope=SARAH, memory=pb.Memory(text="Skis"), expected_revision=0)
    created = await each_server.memories.CreateMemory(first)
    failure = await failing(each_server.memories.CreateMemory(first))
    unchecked = await each_server.memories.CreateMemory(
        pb.CreateMemoryRequest(scope=SARAH, memory=pb.Memory(text="Sails"))
    )

    assert (created.revision, unchecked.revision) == (1, 2)
    assert (failure.code, failure.reason) == (grpc.StatusCode.ABORTED, "REVISION_MISMATCH")
    assert failure.metadata["revision"] == "1"


@pytest.mark.parametrize(
    ("beside", "field"),
    [
        ({"key": "name"}, "memory.key"),
        ({"layer": common.LAYER_POLICY}, "memory.layer"),
        ({"layer": common.LAYER_POLICY, "key": "role"}, "memory.layer"),
        ({"layer": PROFILE, "key": "role.title"}, "memory.key"),
    ],
)
async def test_an_id_and_a_place_that_contradict_are_refused(
    server: Harness, beside: dict[str, Any], field: str
) -> None:
    await create(server, "Pilot", memory_id="m1", layer=PROFILE, key="role")
    await create(server, "Skis", memory_id="m2")
    for fits in ({}, {"key": "role"}, {"layer": PROFILE}, {"layer": PROFILE, "key": "role"}):
        named = pb.Memory(memory_id="m1", text="Nurse", **fits)  # type: ignore[arg-type]
        assert (await server.memories.UpdateMemory(changing(named))).memory.text == "Nurse"
    contradicting = pb.Memory(memory_id="m1", text="x", **beside)
    failure = await failing(server.memories.UpdateMemory(changing(contradicting, allow_missing=True)))
    batched = await failing(server.memories.BatchWriteMemories(operations(renewal(contradicting))))
    keyless = await failing(server.memories.UpdateMemory(changing(pb.Memory(memory_id="m2", key="role", text="x"))))

    assert (failure.code, failure.fields) == (grpc.StatusCode.INVALID_ARGUMENT, (field,))
    assert batched.fields == (f"operations[0].update.{field}",)
    assert keyless.fields == ("memory.key",)


async def test_a_key_needs_its_layer_in_an_update(server: Harness) -> None:
    await create(server, "Pilot", layer=common.LAYER_KNOWLEDGE, key="role")
    named = pb.Memory(key="role", text="Nurse")
    failure = await failing(server.memories.UpdateMemory(changing(named, allow_missing=True)))
    batched = await failing(server.memories.BatchWriteMemories(operations(renewal(named))))

    assert (failure.code, failure.fields) == (grpc.StatusCode.INVALID_ARGUMENT, ("memory.layer",))
    assert batched.fields == ("operations[0].update.memory.layer",)


@pytest.mark.parametrize(
    "named",
    [
        ["r0", "r0", "r0"],
        ["r0", "r1", "r2"],
        ["r0", "r1", "r0"],
        ["r0", "r0", "r1"],
        ["r0", "r1", "r2", "r0", "r1", "r3"],
    ],
)
async def test_of_a_chain_of_replacements_one_answer_is_left(each_server: Harness, named: list[str]) -> None:
    await append(each_server, "hello", run_id="before")
    await append(each_server, "version 0", "more", run_id="r0")
    for index, run_id in enumerate(named, start=1):
        await append(each_server, f"version {index}", run_id=f"r{index}", replaces_run_id=run_id)
    await append(each_server, "after")
    asking = session_pb2.GetHistoryRequest(scope=SARAH, session_id="s1")
    history = await each_server.sessions.GetHistory(asking)
    session = (
        await each_server.sessions.GetSession(session_pb2.GetSessionRequest(scope=SARAH, session_id="s1"))
    ).session
    request = session_pb2.ListRunsRequest(scope=SARAH, include_replaced=True)
    runs = (await each_server.sessions.ListRuns(request)).runs

    texts = [message.parts[0].text.text for message in history.messages]
    assert texts == ["hello", f"version {len(named)}", "after"]
    assert (session.run_count, session.message_count) == (3, 3)
    assert [run.run_id for run in runs if not run.replaced][1] == f"r{len(named)}"
    assert [run.replaces_run_id for run in runs][2 : 2 + len(named)] == named


async def test_replacements_of_the_same_run_at_once_leave_one_answer(each_server: Harness) -> None:
    await append(each_server, "version 0", run_id="r0")
    await asyncio.gather(
        *(append(each_server, f"version {index}", run_id=f"r{index}", replaces_run_id="r0") for index in range(1, 9))
    )
    asking = session_pb2.GetHistoryRequest(scope=SARAH, session_id="s1")
    history = await each_server.sessions.GetHistory(asking)
    found = await each_server.sessions.GetSession(session_pb2.GetSessionRequest(scope=SARAH, session_id="s1"))

    assert len(history.messages) == found.session.run_count == 1


async def test_the_changes_of_a_place_are_those_of_all_that_were_there(each_server: Harness) -> None:
    first = await create(each_server, "Pilot", layer=PROFILE, key="role")
    await create(each_server, "Nurse", layer=common.LAYER_KNOWLEDGE, key="role")
    await create(each_server, "Skis")
    await each_server.memories.DeleteMemory(pb.DeleteMemoryRequest(scope=SARAH, memory_id=first.memory_id))
    second = await create(each_server, "Nurse", layer=PROFILE, key="role")

    async def changes(**fields: Any) -> list[tuple[int, str]]:
        reply = await each_server.memories.ListMemoryChanges(pb.ListMemoryChangesRequest(scope=SARAH, **fields))
        return [
            (commit.revision, (change.after if change.HasField("after") else change.before).memory_id)
            for commit in reply.commits
            for change in commit.changes
        ]

    assert await changes(address=ROLE) == [(5, second.memory_id), (4, first.memory_id), (1, first.memory_id)]
    assert await changes(memory_id=first.memory_id) == [(4, first.memory_id), (1, first.memory_id)]
    assert len(await changes()) == 5
    page = await each_server.memories.ListMemoryChanges(
        pb.ListMemoryChangesRequest(scope=SARAH, address=ROLE, page_size=1)
    )
    other = pb.ListMemoryChangesRequest(scope=SARAH, page_token=page.next_page_token)
    assert (await failing(each_server.memories.ListMemoryChanges(other))).reason == "TOKEN_MISMATCH"
    for spoilt, field in ((pb.KeyAddress(key="role"), "address.layer"), (pb.KeyAddress(layer=PROFILE), "address.key")):
        request = pb.ListMemoryChangesRequest(scope=SARAH, address=spoilt)
        assert (await failing(each_server.memories.ListMemoryChanges(request))).fields == (field,)


@pytest.mark.parametrize("token", ["x", "é", "AAAA", "WyIwMTIzNDU2Nzg5YWJjZGVmIixbMV1d"])
async def test_a_token_that_is_none_or_of_another_is_a_mismatch(server: Harness, token: str) -> None:
    memories, extractions = server.memories, server.extractions
    for call in (
        memories.WatchMemories(pb.WatchMemoriesRequest(scope=SARAH, resume_token=token)),
        extractions.WatchExtraction(
            extraction_pb2.WatchExtractionRequest(scope=SARAH, extraction_id="e1", resume_token=token)
        ),
        memories.ListMemories(pb.ListMemoriesRequest(scope=SARAH, page_token=token)),
    ):
        failure = await failing(call)
        assert (failure.code, failure.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "TOKEN_MISMATCH")
