"""A server dies at a named place, just before or after a durable step. What was acknowledged is there; what was not is
whole or absent, and happens once when it is repeated; what was accepted to be learned is learned once.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import signal
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from memsvc.journal.state import Core
from memsvc.model import Scope, decode
from memsvc.storage.driver import Driver, RowKind
from memsvc.storage.registry import connect
from memsvc.testing.fake_openai import FakeOpenAI
from memsvc.testing.replies import Reply
from memsvc_client import (
    AsyncMemoryClient,
    AsyncUser,
    Completed,
    FailedPrecondition,
    MemoryServiceError,
    create,
    delete,
    update,
)
from tests.torture.checking import check
from tests.torture.databases import sqlite
from tests.torture.ledger import Book, Ledger, Lesson, Note
from tests.torture.process import Installation
from tests.torture.words import new_words

KILLED = -signal.SIGKILL
SARAH = Scope("default", "sarah")
SETTINGS = {"engine": "rules", "embedder": "none", "quiet_seconds": 0, "poll_seconds": 0.1}
"""Without an embedder: what it stores by the way would be among the commits that are counted here."""
KEPT, CHANGED, DELETED, NEW, OTHER = islice(new_words(), 5)


def note(word: str) -> str:
    return f"Note on {word}"


@dataclass(frozen=True)
class Errand:
    """A write that passes the places, and what is expected once it was acknowledged."""

    send: Callable[[AsyncUser, Mapping[str, str], str], Awaitable[Any]]
    """Takes the user, the ids of the notes that are there before, and the request id."""
    expect: Callable[[Book, Mapping[str, Note], Any], None]
    """Takes the book, the notes that are there before, and the answer."""


async def send_create(user: AsyncUser, ids: Mapping[str, str], request_id: str) -> str:
    return await user.memories.add(note(NEW), request_id=request_id)


def expect_created(book: Book, notes: Mapping[str, Note], memory_id: str) -> None:
    book.created(memory_id, NEW)


async def send_batch(user: AsyncUser, ids: Mapping[str, str], request_id: str) -> object:
    operations = [create(note(NEW)), update(ids[CHANGED], text=note(OTHER)), delete(ids[DELETED])]
    return await user.memories.batch(operations, request_id=request_id)


def expect_batch(book: Book, notes: Mapping[str, Note], commit: Any) -> None:
    book.created(commit.changes[0].after.memory_id, NEW)
    book.updated(notes[CHANGED], OTHER)
    book.deleted(notes[DELETED])


async def send_run(user: AsyncUser, ids: Mapping[str, str], request_id: str) -> tuple[str, int, str]:
    receipt = await user.append_run("session", [("user", f"I love playing {NEW}.")], request_id=request_id)
    return receipt.run_id, receipt.index, receipt.extraction_id


def expect_learned(book: Book, notes: Mapping[str, Note], receipt: tuple[str, int, str]) -> None:
    book.lessons.append(Lesson(NEW, in_session=True, extraction_id=receipt[2], acknowledged=True))


async def send_purge(user: AsyncUser, ids: Mapping[str, str], request_id: str) -> int:
    return await user.memories.delete(ids[DELETED], purge=True, request_id=request_id)


def expect_purged(book: Book, notes: Mapping[str, Note], revision: int) -> None:
    book.deleted(notes[DELETED], purged=True)


async def send_erase(user: AsyncUser, ids: Mapping[str, str], request_id: str) -> object:
    return await user.erase(request_id=request_id)


def expect_erased(book: Book, notes: Mapping[str, Note], answer: object) -> None:
    book.erase()


async def send_bulk(user: AsyncUser, ids: Mapping[str, str], request_id: str) -> object:
    texts = [note(NEW), *("filling " * 900 + str(number) for number in range(40))]
    return await user.memories.batch([create(text) for text in texts], request_id=request_id)


CREATE = Errand(send_create, expect_created)
BATCH = Errand(send_batch, expect_batch)
LEARN = Errand(send_run, expect_learned)
PURGE = Errand(send_purge, expect_purged)
ERASE = Errand(send_erase, expect_erased)
BULK = Errand(send_bulk, lambda book, notes, commit: expect_created(book, notes, ""))

STEPS = [
    ("writer.{}_append", CREATE),
    ("sqlite.{}_commit", BATCH),
    ("sqlite.{}_commit", LEARN),
    ("worker.{}_claim", LEARN),
    ("worker.{}_renew", LEARN),
    ("worker.{}_postpone", LEARN),
    ("worker.{}_finish", LEARN),
    ("purge.{}_redact", PURGE),
    ("purge.{}_note", PURGE),
    ("sqlite.{}_wipe", PURGE),
    ("sqlite.{}_commit", ERASE),
    ("sqlite.{}_checkpoint", BULK),
]
BEFORE_AND_AFTER = ("before", "after")


Prepared = tuple[Path, Mapping[str, str]]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    """A database in which three notes were written, and their ids."""
    folder = tmp_path_factory.mktemp("prepared")
    return folder, asyncio.run(write_notes(folder))


async def write_notes(folder: Path) -> Mapping[str, str]:
    async with Installation(folder, sqlite(folder).url, SETTINGS).serving() as server:
        async with AsyncMemoryClient(server.target) as client:
            user = client.user("sarah")
            ids = {word: await user.memories.add(note(word)) for word in (KEPT, CHANGED, DELETED)}
        assert await server.stop() == 0
    return ids


@contextlib.asynccontextmanager
async def circumstances(place: str) -> AsyncIterator[Mapping[str, object]]:
    """Yield the settings under which a server passes the place."""
    if place.endswith("_checkpoint"):
        yield {"storage_options": "checkpoint_bytes=65536"}
    elif place.endswith("_postpone"):
        yield {"engine": "openai", "openai_base_url": "http://127.0.0.1:9/v1", "openai_api_key": "none"}
    elif place.endswith("_renew"):
        async with FakeOpenAI([Reply(hang=True)]) as fake:
            yield {
                "engine": "openai",
                "openai_base_url": fake.base_url,
                "openai_api_key": "none",
                "lease_seconds": 0.3,
            }
    else:
        yield {}


@pytest.mark.parametrize(("step", "errand"), STEPS)
async def test_nothing_is_lost_or_doubled_where_a_server_dies(
    step: str, errand: Errand, prepared: Prepared, tmp_path: Path
) -> None:
    await asyncio.gather(*(die_at(step.format(when), errand, prepared, tmp_path / when) for when in BEFORE_AND_AFTER))


async def die_at(place: str, errand: Errand, prepared: Prepared, folder: Path) -> None:
    template, ids = prepared
    folder.mkdir()
    shutil.copy(template / "memory.db", folder)
    database = sqlite(folder)
    installation = Installation(folder, database.url, SETTINGS)
    book = Book("sarah")
    notes = {word: book.created(memory_id, word) for word, memory_id in ids.items()}
    request_id = str(uuid.uuid4())

    async with circumstances(place) as settings:
        doomed = await installation.launch(environment={"MEMSVC_CRASH_POINT": place}, **settings)  # type: ignore[arg-type]
        await doomed.ready()
        async with AsyncMemoryClient(doomed.target) as client:
            first = asyncio.ensure_future(errand.send(client.user("sarah"), ids, request_id))
            assert await doomed.ended() == KILLED, doomed.log_tail()
            acknowledged = await answer_if_any(first)

    async with installation.serving() as server, AsyncMemoryClient(server.target) as client:
        answer = await errand.send(client.user("sarah"), ids, request_id)
        assert acknowledged in (None, answer)
        assert await errand.send(client.user("sarah"), ids, request_id) == answer
        errand.expect(book, notes, answer)
        ledger = Ledger([book], new_words())
        await check(client, ledger)
        assert ledger.findings == []
        assert await server.stop() == 0
    assert database.faults() == ""


@pytest.mark.parametrize("when", BEFORE_AND_AFTER)
async def test_a_server_that_dies_while_it_makes_its_tables_can_be_started_again(when: str, tmp_path: Path) -> None:
    database = sqlite(tmp_path)
    installation = Installation(tmp_path, database.url, SETTINGS)
    doomed = await installation.launch(environment={"MEMSVC_CRASH_POINT": f"sqlite.{when}_migrate"})
    assert await doomed.ended() == KILLED, doomed.log_tail()
    async with installation.serving() as server, AsyncMemoryClient(server.target) as client:
        await client.user("sarah").memories.add("I ski")
        assert await server.stop() == 0
    assert database.faults() == ""


@pytest.mark.parametrize("when", BEFORE_AND_AFTER)
async def test_vectors_are_there_once_where_a_server_dies_as_it_stores_them(when: str, tmp_path: Path) -> None:
    # Late enough for the client to hear what was written.
    settings = {**SETTINGS, "embedder": "static", "store_vectors_after_seconds": 2, "store_vectors_from_memories": 0}
    installation = Installation(tmp_path, sqlite(tmp_path).url, settings)
    doomed = await installation.launch(environment={"MEMSVC_CRASH_POINT": f"meaning.{when}_store"})
    await doomed.ready()
    async with AsyncMemoryClient(doomed.target) as client:
        written = await client.user("sarah").memories.batch([create("Skis at Tahoe"), create("Likes tea")])
        ids = [change.after.memory_id for change in written.changes if change.after]
        assert await doomed.ended() == KILLED, doomed.log_tail()
    async with installation.serving() as server:
        driver = connect(sqlite(tmp_path).url, {})
        await driver.open()
        async with asyncio.timeout(20):
            while await owed(driver) or await vectors(driver) != sorted(ids):
                await asyncio.sleep(0.05)
        assert (await driver.tips((SARAH,)))[0].seq <= 1 + 2
        await driver.close()
        assert await server.stop() == 0


async def vectors(driver: Driver) -> list[str]:
    return sorted(row.row_id for row in (await driver.load(SARAH, (RowKind.VECTOR,))).rows)


async def owed(driver: Driver) -> int:
    (row,) = (await driver.load(SARAH, (RowKind.STATE,))).rows
    return decode(row.body, Core).embed_time


async def test_an_extraction_that_kills_its_worker_is_parked(tmp_path: Path) -> None:
    installation = Installation(tmp_path, sqlite(tmp_path).url, {**SETTINGS, "max_attempts": 2})
    deadly = {"MEMSVC_CRASH_POINT": "worker.before_finish"}
    doomed = await installation.launch(environment=deadly)
    await doomed.ready()
    async with AsyncMemoryClient(doomed.target) as client:
        said = client.user("sarah").append_run("session", [("user", "I love sushi!")])
        saying = asyncio.create_task(said)
        assert await doomed.ended() == KILLED, doomed.log_tail()
        await answer_if_any(saying)
    doomed = await installation.launch(environment=deadly)
    assert await doomed.ended() == KILLED, doomed.log_tail()
    async with installation.serving() as server, AsyncMemoryClient(server.target) as client:
        user = client.user("sarah")
        [extraction] = [each async for each in user.extractions.list()]
        events = [event async for event in user.extractions.watch(extraction.extraction_id, timeout=20)]
        assert isinstance(events[-1], Completed)
        assert (events[-1].extraction.state, events[-1].extraction.reason) == ("failed", "WORKER_LOST")
        await user.extractions.retry([extraction.extraction_id])
        async for _ in user.extractions.watch(extraction.extraction_id, timeout=20):
            pass
        assert [memory.memory async for memory in user.memories.list()] == ["Likes sushi"]


async def test_a_repeat_after_an_erasure_cut_off_brings_nothing_back(prepared: Prepared, tmp_path: Path) -> None:
    template, _ = prepared
    shutil.copy(template / "memory.db", tmp_path)
    installation = Installation(tmp_path, sqlite(tmp_path).url, SETTINGS)
    request_id = str(uuid.uuid4())
    doomed = await installation.launch(environment={"MEMSVC_CRASH_POINT": "sqlite.after_commit:2"})
    await doomed.ready()
    async with AsyncMemoryClient(doomed.target) as client:
        user = client.user("sarah")
        await user.memories.add(note(NEW), request_id=request_id)
        erasing = asyncio.create_task(user.erase())
        assert await doomed.ended() == KILLED, doomed.log_tail()
        await answer_if_any(erasing)
    async with installation.serving() as server, AsyncMemoryClient(server.target) as client:
        user = client.user("sarah")
        with pytest.raises(FailedPrecondition) as refused:
            await user.memories.add(note(NEW), request_id=request_id)
        assert refused.value.reason == "USER_ERASED"
        assert await user.get() is None


async def answer_if_any(call: asyncio.Future[Any]) -> Any:
    """Return what a call answered before its server died; None: nothing."""
    call.cancel()
    with contextlib.suppress(asyncio.CancelledError, MemoryServiceError):
        return await call
    return None
