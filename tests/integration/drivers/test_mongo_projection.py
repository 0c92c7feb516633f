"""How rows come to show in MongoDB, after the fact, and what is superseded, deleted or erased goes."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest
from mongo_stores import NEVER, behind, empty_store, opened

from memsvc.model import Memory, Origin, Scope, encode
from memsvc.storage.conformance import Place
from memsvc.storage.conformance.items import Journal, by_key, ids, memory, redact, request, run, session, state
from memsvc.storage.conformance.processes import started
from memsvc.storage.driver import PageOf, Row, RowKey, RowKind
from memsvc_drivers.mongo.documents import seeded_document, user_key
from memsvc_drivers.mongo.projection import ABANDONED, KEPT
from tests.servers.ferretdb import FerretDB
from tests.servers.given import GivenServer

pytestmark = pytest.mark.mongodb

Server = FerretDB | GivenServer
SARAH = Scope("default", "sarah")


async def test_people_can_read_memories(mongodb_server: Server) -> None:
    body = encode(
        Memory(
            memory_id="m1",
            number=1,
            text="Skis at Tahoe",
            topics=("hobbies", "places"),
            input="I ski at Tahoe",
            origin=Origin(agent_id="support", team_id="west"),
            update_time=1_763_715_600_000_000,
        )
    )
    async with empty_store(mongodb_server.url) as url, behind(url) as background:
        async with opened(url, **NEVER) as driver:
            await Journal(driver, SARAH).append(puts=[Row(RowKind.MEMORY, "m1", body)])
            assert await background.memories() == []
        fields = ("memory_id", "memory", "topics", "input", "user_id", "agent_id", "team_id", "updated_at")
        assert await background.memories(*fields) == [
            {
                "memory_id": "m1",
                "memory": "Skis at Tahoe",
                "topics": ["hobbies", "places"],
                "input": "I ski at Tahoe",
                "user_id": "sarah",
                "agent_id": "support",
                "team_id": "west",
                "updated_at": datetime(2025, 11, 21, 9, 0, tzinfo=UTC).replace(tzinfo=None),
            }
        ]


async def test_superseded_versions_go(mongodb_server: Server) -> None:
    async with empty_store(mongodb_server.url) as url, behind(url) as background:
        async with opened(url, **NEVER) as driver:
            journal = Journal(driver, SARAH)
            for number in range(1, 6):
                await journal.append(puts=[memory("m1", f"text {number}"), session("s1", number)], due=number)
                if number % 2:
                    await background.projection.project([user_key(SARAH)])
            assert [document["memory"] for document in await background.memories()] == ["text 5"]
            versions = await background.store.rows.find({}, ["row", "seq"])
            assert versions == [{"row": "s1", "seq": 5}]
            kept = await background.store.journal.find({"said": {"$exists": True}}, ["after"])
            due = await background.store.journal.find({"due": {"$gt": 0}}, ["due"])
            assert (kept, due) == ([], [{"due": 5}])


async def test_rows_of_a_process_that_was_killed_come_to_show(mongodb_server: Server) -> None:
    async with empty_store(mongodb_server.url) as url, behind(url) as background:
        async with started(Place(url, NEVER)) as worker:
            await worker.ask(do="open")
            await worker.tell(do="append", namespace="default", user_id="sarah", count=5)
            for _ in range(5):
                await worker.answer()
            await worker.kill()
        assert await background.store.rows.find({}, ["row"]) == []
        await background.projection.sweep()
        assert await background.store.rows.find({}, ["row"]) == []
        background.seconds_later = ABANDONED.total_seconds() + 1
        await background.projection.sweep()
        assert await background.store.rows.find({}, ["row", "seq"]) == [{"row": "", "seq": 5}]
        async with opened(url) as driver:
            assert list((await driver.load(SARAH, [RowKind.STATE])).rows) == [state(5)]


async def test_passes_at_once_do_no_harm(mongodb_server: Server) -> None:
    async with empty_store(mongodb_server.url) as url, behind(url) as background:
        async with opened(url, **NEVER) as driver:
            journal = Journal(driver, SARAH)
            runs = [run(f"r{number}", number) for number in range(20)]
            await journal.append(puts=runs)
            for number in range(0, 20, 2):
                await journal.append(deletes=[RowKey(RowKind.RUN, f"r{number}")])
            await asyncio.gather(*(background.projection.project([user_key(SARAH)]) for _ in range(4)))
            assert ids(await driver.rows(PageOf(SARAH, RowKind.RUN, limit=100))) == ids(runs[1::2])


async def test_a_version_that_comes_late_stays_hidden(mongodb_server: Server) -> None:
    async with empty_store(mongodb_server.url) as url, behind(url) as background:
        async with opened(url, **NEVER) as driver:
            journal = Journal(driver, SARAH)
            deleted, moved = run("deleted", 1), run("moved", 2)
            await journal.append(puts=[deleted, moved, memory("m1")])
            await journal.append(puts=[run("moved", 9)], deletes=[RowKey(RowKind.RUN, "deleted")])
            await background.projection.project([user_key(SARAH)])
            late = [seeded_document(user_key(SARAH), row, 1, background.projection.now) for row in (deleted, moved)]
            await background.store.rows.insert(late)
            assert ids(await driver.rows(PageOf(SARAH, RowKind.RUN, limit=10))) == ["moved"]
            assert ids(await driver.rows(PageOf(SARAH, RowKind.RUN, before=5, limit=10))) == []
            assert await driver.get(SARAH, RowKind.RUN, ["deleted"]) == {}
            assert by_key((await driver.load(SARAH, [RowKind.RUN])).rows) == by_key([run("moved", 9)])
            background.seconds_later = KEPT.total_seconds() + 60
            await background.projection.sweep()
            assert await background.store.rows.find({"row": "deleted"}, ["_id"]) == []


async def test_a_version_that_comes_after_its_user_was_erased_stays_hidden(mongodb_server: Server) -> None:
    async with empty_store(mongodb_server.url) as url, behind(url) as background:
        async with opened(url, **NEVER) as driver:
            journal = Journal(driver, SARAH)
            await journal.append(puts=[memory("m1"), run("r1", 1), request("q1", 5)])
            await journal.append(erases=True)
            await journal.append(puts=[memory("m2")])
            await background.projection.project([user_key(SARAH)])
            user, now = user_key(SARAH), background.projection.now
            await background.store.memories.insert([seeded_document(user, memory("m1"), 1, now)])
            await background.store.rows.insert([seeded_document(user, run("r1", 1), 1, now)])
            rows = (await driver.load(SARAH, list(RowKind))).rows
            assert by_key(rows) == by_key([memory("m2"), request("q1", 5)])
            assert await driver.get(SARAH, RowKind.MEMORY, ["m1"]) == {}
            assert list(await driver.rows(PageOf(SARAH, RowKind.RUN, limit=10))) == []
            background.seconds_later = KEPT.total_seconds() + 60
            await background.projection.sweep()
            assert [document["memory_id"] for document in await background.memories("memory_id")] == ["m2"]
            assert await background.store.rows.find({"row": "r1"}, ["_id"]) == []


async def test_what_was_redacted_is_nowhere_in_the_collections(mongodb_server: Server) -> None:
    async with empty_store(mongodb_server.url) as url, opened(url, **NEVER) as driver, behind(url) as background:
        journal = Journal(driver, SARAH)
        await journal.append([b"the secret"], puts=[memory("m1", "the secret")])
        await journal.append(deletes=[RowKey(RowKind.MEMORY, "m1")])
        await redact(driver, SARAH, {1: b"{}"})
        fields = ["records", "said", "body", "memory", "input"]
        for collection in (background.store.journal, background.store.memories, background.store.rows):
            assert "the secret" not in str(await collection.find({}, fields))
