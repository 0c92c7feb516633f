"""ExportUser, ImportMemories and EraseNamespace: what goes out comes in again, as it was."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import grpc
import pytest
from rpc_harness import SARAH, Harness, failing, new_request_id, said, served
from valid_requests import put

from memsvc.storage.driver import Driver
from memsvc.v1 import admin_pb2 as pb
from memsvc.v1 import common_pb2, context_pb2, memory_pb2, session_pb2

BEN = common_pb2.Scope(user_id="ben")


def remembered(text: str, **fields: Any) -> pb.ExportRecord:
    return pb.ExportRecord(memory=memory_pb2.Memory(text=text, **fields))


def told(session_id: str, text: str, **fields: Any) -> pb.ExportRecord:
    return pb.ExportRecord(run=session_pb2.Run(session_id=session_id, messages=[said(text)], **fields))


async def export(
    server: Harness, scope: common_pb2.Scope = SARAH, page_size: int = 0
) -> tuple[list[pb.ExportRecord], list[int]]:
    """Return all records, and the revision that each page says."""
    records: list[pb.ExportRecord] = []
    revisions: list[int] = []
    request = pb.ExportUserRequest(scope=scope, page_size=page_size)
    while True:
        reply = await server.admin.ExportUser(request)
        records += reply.records
        revisions.append(reply.revision)
        request.page_token = reply.next_page_token
        if not request.page_token:
            return records, revisions


async def bring_in(
    server: Harness,
    records: Sequence[pb.ExportRecord],
    mode: int = pb.IMPORT_MODE_FAIL,
    scope: common_pb2.Scope = SARAH,
    request_id: str = "",
) -> Any:
    request = pb.ImportMemoriesRequest(scope=scope, records=records, mode=mode, request_id=request_id)  # type: ignore[arg-type]
    return await server.admin.ImportMemories(request)


async def create(server: Harness, text: str, scope: common_pb2.Scope = SARAH, **fields: Any) -> memory_pb2.Memory:
    memory = memory_pb2.Memory(text=text, **fields)
    return (await server.memories.CreateMemory(memory_pb2.CreateMemoryRequest(scope=scope, memory=memory))).memory


async def append(server: Harness, session_id: str, text: str, mode: int = 0, **fields: Any) -> Any:
    run = session_pb2.Run(session_id=session_id, messages=[said(text)], **fields)
    return await server.sessions.AppendRun(session_pb2.AppendRunRequest(scope=SARAH, run=run, learning_mode=mode))  # type: ignore[arg-type]


async def learned(server: Harness, scope: common_pb2.Scope = SARAH) -> None:
    request = context_pb2.CompileContextRequest(scope=scope)
    request.wait_for_learning.FromSeconds(20)
    await server.contexts.CompileContext(request)


def comparable(records: Sequence[pb.ExportRecord]) -> list[pb.ExportRecord]:
    """Return records without what belongs to the server and user that they are of."""
    compared = []
    for record in records:
        copy = pb.ExportRecord()
        copy.CopyFrom(record)
        if copy.HasField("memory"):
            copy.memory.ClearField("scope")
            copy.memory.ClearField("etag")
        compared.append(copy)
    return compared


async def lived(server: Harness) -> None:
    """Let Sarah have memories of all kinds, sessions, a replaced run, and gaps where things were deleted."""
    await create(server, "Gone soon", memory_id="gone")
    await create(server, "Staff Engineer", layer=common_pb2.LAYER_PROFILE, key="role", value_json='"Staff"')
    await create(server, "Skis — über alles 🎿", topics=["sport"], metadata={"a": "b"}, input="I ski")
    dated = memory_pb2.Memory(text="Liked the table", layer=common_pb2.LAYER_FEEDBACK, polarity=1)  # type: ignore[arg-type]
    dated.observe_time.FromSeconds(1_000_000)
    dated.expire_time.FromSeconds(4_000_000_000)
    await server.memories.CreateMemory(memory_pb2.CreateMemoryRequest(scope=SARAH, memory=dated))
    await server.memories.DeleteMemory(memory_pb2.DeleteMemoryRequest(scope=SARAH, memory_id="gone"))
    first = await append(server, "s1", "I row", agent_id="coach", metadata={"channel": "web"})
    await learned(server)
    await append(server, "s1", "I row on Sundays", replaces_run_id=first.run_id)
    await append(server, "s2", "Not to be learned", mode=common_pb2.LEARNING_MODE_OFF, context_memory_ids=["m"])
    await learned(server)


async def test_what_is_exported_is_imported_as_it_was(each_server: Harness) -> None:
    await lived(each_server)
    records, _ = await export(each_server)
    await bring_in(each_server, records, scope=BEN)
    again, _ = await export(each_server, BEN)

    assert comparable(again) == comparable(records)
    assert [each.WhichOneof("record") for each in records].count("memory") == 5
    assert [each.run.learning for each in records if each.HasField("run")] == [
        common_pb2.LEARNING_STATE_LEARNED,
        common_pb2.LEARNING_STATE_LEARNED,
        common_pb2.LEARNING_STATE_OFF,
    ]
    sessions = [
        (await each_server.sessions.ListSessions(session_pb2.ListSessionsRequest(scope=scope))).sessions
        for scope in (SARAH, BEN)
    ]
    assert sessions[0] == sessions[1]
    assert (await create(each_server, "New here", BEN)).number > max(each.memory.number for each in records)


async def test_an_imported_history_is_found_and_is_not_learned_from_again(server: Harness) -> None:
    await lived(server)
    records, _ = await export(server)
    await bring_in(server, records, scope=BEN)
    await learned(server, BEN)
    found = await server.sessions.SearchHistory(session_pb2.SearchHistoryRequest(scope=BEN, query="Sundays"))
    replaced = await server.sessions.SearchHistory(
        session_pb2.SearchHistoryRequest(scope=BEN, query="row", session_ids=["s1"])
    )

    assert [each.message.parts[0].text.text for each in found.passages] == ["I row on Sundays"]
    assert [each.message.parts[0].text.text for each in replaced.passages] == ["I row on Sundays"]
    stats = await server.admin.GetStats(pb.GetStatsRequest(scope=BEN))
    assert (stats.memory_count, stats.run_count, stats.revision) == (5, 3, 1)


async def test_what_was_not_learned_yet_is_learned_where_it_is_imported(each_server: Harness) -> None:
    each_server.engine.gate.clear()
    await append(each_server, "s1", "I row")
    await append(each_server, "s2", "I ski")
    records, _ = await export(each_server)
    await bring_in(each_server, records, scope=BEN)
    each_server.engine.gate.set()
    await learned(each_server, BEN)
    again, _ = await export(each_server, BEN)

    assert sorted(each.memory.text for each in again if each.HasField("memory")) == ["I row", "I ski"]
    assert [each.run.learning for each in again if each.HasField("run")] == [common_pb2.LEARNING_STATE_LEARNED] * 2


@pytest.mark.parametrize("page_size", [1, 2, 7])
async def test_pages_are_of_one_moment_while_the_user_is_written_to(each_server: Harness, page_size: int) -> None:
    for number in range(4):
        await create(each_server, f"Before {number}", memory_id=f"m{number}")
    for number in range(3):
        await append(each_server, "s1", f"Said {number}", mode=common_pb2.LEARNING_MODE_OFF)
    whole, _ = await export(each_server)
    request = pb.ExportUserRequest(scope=SARAH, page_size=page_size)
    records: list[pb.ExportRecord] = []
    revisions: set[int] = set()
    for turn in range(20):
        reply = await each_server.admin.ExportUser(request)
        records += reply.records
        revisions.add(reply.revision)
        request.page_token = reply.next_page_token
        if not request.page_token:
            break
        await create(each_server, f"Meanwhile {turn}")
        await append(each_server, "s1", f"Meanwhile {turn}", mode=common_pb2.LEARNING_MODE_OFF)
        memory = memory_pb2.Memory(memory_id=f"m{turn % 4}", text=f"Changed {turn}")
        updating = memory_pb2.UpdateMemoryRequest(scope=SARAH, memory=memory)
        updating.update_mask.paths.append("text")
        await each_server.memories.UpdateMemory(updating)

    assert records == whole
    assert revisions == {4}


async def test_an_export_of_a_user_who_was_erased_meanwhile_says_so(server: Harness) -> None:
    for number in range(3):
        await create(server, f"Note {number}")
    first = await server.admin.ExportUser(pb.ExportUserRequest(scope=SARAH, page_size=1))
    await server.admin.EraseUser(pb.EraseUserRequest(scope=SARAH))
    rest = pb.ExportUserRequest(scope=SARAH, page_token=first.next_page_token)
    failure = await failing(server.admin.ExportUser(rest))

    assert (first.memory_count, failure.code, failure.reason) == (3, grpc.StatusCode.OUT_OF_RANGE, "HISTORY_TRIMMED")
    other = pb.ExportUserRequest(scope=BEN, page_token=first.next_page_token)
    assert (await failing(server.admin.ExportUser(other))).reason == "TOKEN_MISMATCH"


TAKEN = [
    (remembered("Other", memory_id="m1"), "MEMORY_EXISTS", "records[1].memory.memory_id"),
    (remembered("Other", layer=1, key="stack.languages"), "KEY_TAKEN", "records[1].memory.key"),
    (remembered("Other", layer=1, key="stack"), "KEY_CONFLICT", "records[1].memory.key"),
    (remembered("Other", layer=1, key="stack.languages.first"), "KEY_CONFLICT", "records[1].memory.key"),
    (told("s1", "Other", run_id="r1"), "RUN_EXISTS", "records[1].run.run_id"),
    (told("s2", "Other", run_id="r1"), "RUN_EXISTS", "records[1].run.run_id"),
]


@pytest.mark.parametrize(("record", "reason", "field"), TAKEN)
async def test_what_is_there_already_fails_is_skipped_or_overwritten(
    each_server: Harness, record: pb.ExportRecord, reason: str, field: str
) -> None:
    await create(each_server, "Skis", memory_id="m1")
    await create(each_server, "Rust", memory_id="m2", layer=1, key="stack.languages")
    await append(each_server, "s1", "I row", run_id="r1", mode=common_pb2.LEARNING_MODE_OFF)
    before, _ = await export(each_server)
    records = [remembered("New", memory_id="m3"), record, told("s9", "New", run_id="r9")]
    failure = await failing(bring_in(each_server, records))

    assert (failure.reason, failure.fields) == (reason, (field,))
    assert (await export(each_server))[0] == before
    skipped = await bring_in(each_server, records, pb.IMPORT_MODE_SKIP)
    after, _ = await export(each_server)
    assert [each.result for each in skipped.outcomes] == [1, 2, 1]
    assert [each for each in after if each in before] == before
    if record.run.session_id == "s2":
        # It is another session's: nothing of that is touched.
        overwriting = bring_in(each_server, [record], pb.IMPORT_MODE_OVERWRITE)
        assert (await failing(overwriting)).fields == ("records[0].run.run_id",)
        return
    written = await bring_in(each_server, [record], pb.IMPORT_MODE_OVERWRITE)
    texts = [each.memory.text or each.run.messages[0].parts[0].text.text for each in (await export(each_server))[0]]
    assert [each.result for each in written.outcomes] == [3]
    assert "Other" in texts
    assert len(texts) == len(after)


async def test_facts_of_the_past_are_exported_and_imported_as_they_were(each_server: Harness) -> None:
    place = {"layer": common_pb2.LAYER_PROFILE, "key": "location"}
    past = remembered("Lives in Rome", memory_id="m1", number=3, superseded=True, successor_id="m2", **place)
    past.memory.valid_from.FromSeconds(1_000_000)
    past.memory.valid_to.FromSeconds(2_000_000)
    now = remembered("Lives in Oslo", memory_id="m2", number=1, **place)
    await bring_in(each_server, [past, now])
    records, _ = await export(each_server)
    for scope, mode in ((BEN, pb.IMPORT_MODE_FAIL), (SARAH, pb.IMPORT_MODE_OVERWRITE), (SARAH, pb.IMPORT_MODE_SKIP)):
        await bring_in(each_server, records, mode, scope=scope)
        again, _ = await export(each_server, scope)
        assert comparable(again) == comparable(records)

        async def texts(scope: common_pb2.Scope = scope, **wanted: object) -> list[str]:
            filter_ = common_pb2.MemoryFilter(**wanted)  # type: ignore[arg-type]
            request = memory_pb2.ListMemoriesRequest(scope=scope, filter=filter_)
            return sorted(each.text for each in (await each_server.memories.ListMemories(request)).memories)

        assert await texts() == ["Lives in Oslo"]
        assert await texts(include_superseded=True) == ["Lives in Oslo", "Lives in Rome"]
        assert await texts(valid_at={"seconds": 1_500_000}) == ["Lives in Rome"]


async def test_what_was_summarized_is_summarized_anew_where_it_is_imported(driver: Driver, folder: Path) -> None:
    async with served(driver, folder, summarize_every_runs=2) as server:
        texts = ("The offsite in Lisbon is in June, and Priya books the flights.", "Good. That is all for the offsite.")
        runs = [told("s1", text, learning=common_pb2.LEARNING_STATE_LEARNED) for text in texts]
        unread = [told("s2", text, learning=common_pb2.LEARNING_STATE_OFF) for text in texts]
        await bring_in(server, [*runs, *unread])
        async with asyncio.timeout(60):
            while not (history := await history_of(server, "s1")).HasField("summary"):
                await asyncio.sleep(0.05)
        assert "Lisbon" in history.summary.text
        assert not (await history_of(server, "s2")).HasField("summary")

        # What it says is no longer so: it goes at once.
        again = told("s1", "The offsite is off.", run_id=(await exported_runs(server))[0].run_id)
        await bring_in(server, [again], pb.IMPORT_MODE_OVERWRITE)
        assert "Lisbon" not in (await history_of(server, "s1")).summary.text


async def history_of(server: Harness, session_id: str) -> session_pb2.GetHistoryResponse:
    request = session_pb2.GetHistoryRequest(scope=SARAH, session_id=session_id, last_runs=1)
    reply: session_pb2.GetHistoryResponse = await server.sessions.GetHistory(request)
    return reply


async def exported_runs(server: Harness) -> list[session_pb2.Run]:
    return [each.run for each in (await export(server))[0] if each.HasField("run")]


async def test_an_overwritten_run_is_found_by_its_new_words(server: Harness) -> None:
    await append(server, "s1", "I row", run_id="r1", mode=common_pb2.LEARNING_MODE_OFF)
    await append(server, "s1", "And then", run_id="r2", mode=common_pb2.LEARNING_MODE_OFF)
    searching = session_pb2.SearchHistoryRequest(scope=SARAH, query="row")
    assert (await server.sessions.SearchHistory(searching)).passages
    await bring_in(server, [told("s1", "I ski", run_id="r1")], pb.IMPORT_MODE_OVERWRITE)

    assert not (await server.sessions.SearchHistory(searching)).passages
    searching.query = "ski"
    assert (await server.sessions.SearchHistory(searching)).passages[0].run_id == "r1"
    history = await server.sessions.GetHistory(session_pb2.GetHistoryRequest(scope=SARAH, session_id="s1"))
    assert [each.parts[0].text.text for each in history.messages] == ["I ski", "And then"]


async def test_a_number_that_another_memory_has_is_not_kept(server: Harness) -> None:
    there = await create(server, "Skis")
    records = [remembered("Rows", number=there.number), remembered("Sails", number=9), remembered("Walks")]
    outcomes = (await bring_in(server, records)).outcomes
    listed = await server.memories.ListMemories(memory_pb2.ListMemoriesRequest(scope=SARAH))

    assert outcomes[1].number == 9
    assert {each.text: each.number for each in listed.memories} == {
        "Skis": there.number,
        "Rows": outcomes[0].number,
        "Sails": 9,
        "Walks": outcomes[2].number,
    }
    assert len({there.number, *(each.number for each in outcomes)}) == 4
    assert {each.trust for each in listed.memories} == {common_pb2.TRUST_STATED, common_pb2.TRUST_IMPORTED}


async def test_a_repeat_is_answered_as_the_first_time_and_imports_nothing(each_server: Harness) -> None:
    records = [remembered(f"Note {number}") for number in range(20)]
    records += [told(f"s{number % 3}", f"Said {number}") for number in range(230)]
    request_id = new_request_id()
    first = await bring_in(each_server, records, request_id=request_id)
    again = await bring_in(each_server, records, request_id=request_id)
    stats = await each_server.admin.GetStats(pb.GetStatsRequest(scope=SARAH))

    assert again == first
    assert (stats.memory_count, stats.run_count) == (20, 230)
    other = await failing(bring_in(each_server, records[1:], request_id=request_id))
    assert (other.reason, other.fields) == ("REQUEST_ID_REUSED", ("request_id",))


WRONG = [
    ("memory.text", "", "text"),
    ("memory.text", "x" * 8193, "text"),
    ("memory.number", -1, "number"),
    ("memory.number", 2**63 - 1, "number"),
    ("memory.key", "a..b", "key"),
    ("memory.layer", 99, "layer"),
    ("memory.origin.engine", "a\nb", "origin.engine"),
    ("memory.memory_id", "é" * 129, "memory_id"),
    ("memory.create_time.seconds", 2**40, "create_time"),
    ("memory.update_time.nanos", -1, "update_time"),
]
WRONG_RUNS = [
    ("run.session_id", "", "session_id"),
    ("run.index", -5, "index"),
    ("run.index", 2**60, "index"),
    ("run.run_id", "\u202e", "run_id"),
    ("run.extraction_id", "a\nb", "extraction_id"),
    ("run.learning", 77, "learning"),
    ("run.messages.0.role", 0, "messages[0].role"),
    ("run.create_time.seconds", -(2**40), "create_time"),
]


@pytest.mark.parametrize(("path", "value", "field"), [*WRONG, *WRONG_RUNS])
async def test_a_record_that_is_wrong_is_named(server: Harness, path: str, value: object, field: str) -> None:
    record = told("s1", "I row") if path.startswith("run.") else remembered("Skis")
    put(path, value)(record)
    failure = await failing(bring_in(server, [remembered("Right"), record]))

    kind = path.partition(".")[0]
    assert (failure.code, failure.fields) == (grpc.StatusCode.INVALID_ARGUMENT, (f"records[1].{kind}.{field}",))
    assert (await server.admin.GetStats(pb.GetStatsRequest(scope=SARAH))).revision == 0


@pytest.mark.parametrize(
    ("records", "field"),
    [
        ([], "records"),
        ([pb.ExportRecord()], "records[0].record"),
        ([remembered("a", memory_id="m1"), remembered("b", memory_id="m1")], "records[1].memory.memory_id"),
        ([remembered("a", layer=1, key="k"), remembered("b", layer=1, key="k")], "records[1].memory.key"),
        ([told("s1", "a", run_id="r1"), told("s2", "b", run_id="r1")], "records[1].run.run_id"),
        ([remembered("a")] * 1001, "records"),
    ],
)
async def test_a_list_that_is_wrong_is_named(server: Harness, records: list[pb.ExportRecord], field: str) -> None:
    assert (await failing(bring_in(server, records))).fields == (field,)


async def test_two_records_that_cannot_both_be_are_refused_whatever_the_mode(server: Harness) -> None:
    records = [remembered("a", layer=1, key="stack"), remembered("b", layer=1, key="stack.first")]
    for mode in (pb.IMPORT_MODE_FAIL, pb.IMPORT_MODE_OVERWRITE):
        failure = await failing(bring_in(server, records, mode))
        assert (failure.reason, failure.fields) == ("KEY_CONFLICT", ("records[1].memory.key",))


async def test_a_secret_in_a_record_is_not_stored(server: Harness) -> None:
    secret = "sk-proj-abcdefghijklmnopqrstuvwxyz0123456789ABCD"
    await bring_in(server, [remembered(f"Her key is {secret}"), told("s1", f"My key is {secret}")])

    assert secret not in str((await export(server))[0])


async def test_a_namespace_is_erased_only_by_its_name_given_twice(each_server: Harness) -> None:
    scopes = [common_pb2.Scope(namespace="app", user_id=f"user-{number}") for number in range(20)]
    for scope in scopes:
        await create(each_server, "Skis", scope)
    await create(each_server, "Stays")
    for confirmation in ("", "ap", "App", "app "):
        request = pb.EraseNamespaceRequest(namespace="app", confirm_namespace=confirmation)
        assert (await failing(each_server.admin.EraseNamespace(request))).fields == ("confirm_namespace",)
    assert (await failing(each_server.admin.EraseNamespace(pb.EraseNamespaceRequest()))).fields == ("namespace",)
    request = pb.EraseNamespaceRequest(namespace="app", confirm_namespace="app")
    erased = await each_server.admin.EraseNamespace(request)
    again = await each_server.admin.EraseNamespace(request)

    assert (erased.erased_user_count, erased.erased_memory_count, erased.next_page_token) == (20, 20, "")
    assert again.erased_user_count == 0
    assert not (await each_server.admin.ListUsers(pb.ListUsersRequest(namespace="app"))).user_ids
    assert list((await each_server.admin.ListUsers(pb.ListUsersRequest())).user_ids) == ["sarah"]


async def test_erasing_a_namespace_goes_on_where_its_time_was_over(each_server: Harness) -> None:
    for number in range(20):
        await create(each_server, "Skis", common_pb2.Scope(namespace="app", user_id=f"user-{number:02}"))
    eraser = each_server.application.eraser
    parts = [await eraser.erase("app", "", seconds=0)]
    while parts[-1].next_page_token:
        parts.append(await eraser.erase("app", parts[-1].next_page_token, seconds=0))

    assert [part.users for part in parts] == [8, 8, 4, 0]
    assert sum(part.memories for part in parts) == 20
