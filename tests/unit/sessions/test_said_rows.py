"""What runs are found by is stored with what was learned from them, and until then made by who searches."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import pytest

from memsvc.administration import Administration
from memsvc.clock import now_micros
from memsvc.extraction.jobs.claims import ClaimCommand, Claimed, FinishCommand, Limits
from memsvc.extraction.jobs.queue import CancelCommand
from memsvc.extraction.reconcile import Source, Sources
from memsvc.ids import new_id
from memsvc.model import (
    ImportMode,
    LearningMode,
    LearningState,
    Message,
    Origin,
    Role,
    Run,
    Scope,
    TextPart,
    Usage,
    decode,
)
from memsvc.retention.commands import ForgetRuns
from memsvc.sessions import AppendRunCommand, Quiet, Sessions
from memsvc.sessions.importing import GivenRun, ImportRunsCommand
from memsvc.sessions.said_rows import said_rows
from memsvc.sessions.searching import HistorySearch
from memsvc.settings import DEFAULT_SETTINGS, NamespaceSettings
from memsvc.storage.driver import PageOf, Row, RowKind
from memsvc.storage.memory import MemoryDriver
from memsvc.users import Users
from memsvc.writing.writer import Writer

SARAH = Scope("default", "sarah")


class House:
    """One process on a store."""

    def __init__(self, driver: MemoryDriver) -> None:
        self.driver = driver
        self.users = Users(driver)
        self.writer = Writer(self.users)
        self.sessions = Sessions(self.users, self.writer)

    async def say(self, text: str, *, size_bytes: int = 100, replaces: str = "") -> str:
        messages = (Message(Role.USER, (TextPart(text),)),)
        run = Run(session_id="s1", run_id=new_id(), index=0, messages=messages, replaces_run_id=replaces)
        command = AppendRunCommand(run, size_bytes, LearningMode.AUTOMATIC, Quiet(0, 0), new_id())
        return (await self.sessions.append(SARAH, command)).run_id

    async def claim(self) -> Claimed:
        claimed = await self.writer.write(SARAH, ClaimCommand("worker", 0, 30.0, Limits(5, 3600.0), 0))
        assert claimed is not None
        return claimed

    async def finish(self, claimed: Claimed, *run_ids: str) -> object:
        """Commit what was learned, as a worker does that has read these runs."""
        rows = await self.driver.get(SARAH, RowKind.RUN, run_ids)
        said = {run_id: said_rows(decode(row.body, Run), None) for run_id, row in rows.items()}
        sources = Sources([], Source(Origin(), 1))
        return await self.writer.write(SARAH, FinishCommand(claimed.claim, [], sources, Usage(), 10, said=said))

    async def owed(self) -> Sequence[str]:
        return (await self.users.latest(SARAH)).state.core.said_owed

    async def said(self) -> set[str]:
        return {row.row_id for row in await self.driver.rows(PageOf(SARAH, RowKind.SAID, limit=100))}

    async def found(self, query: str) -> set[str]:
        passages, _ = await HistorySearch(self.users).search(SARAH, query, 10)
        return {passage.message.text for passage in passages}


@pytest.fixture
async def driver() -> AsyncIterator[MemoryDriver]:
    driver = MemoryDriver("memory://", {})
    await driver.open()
    yield driver
    await driver.close()


async def test_a_run_is_found_before_it_is_learned_from_and_after_wherever_that_was(driver: MemoryDriver) -> None:
    house, other = House(driver), House(driver)
    run_id = await house.say("We took in a greyhound")
    assert (await house.owed(), await house.said()) == ((run_id,), set())
    assert await house.found("greyhound") == await other.found("greyhound") == {"We took in a greyhound"}

    await other.finish(await other.claim(), run_id)

    assert (await house.owed(), await house.said()) == ((), {run_id})
    for each in (house, other, House(driver)):
        assert await each.found("greyhound") == {"We took in a greyhound"}


async def test_what_an_attempt_that_failed_leaves_is_still_found(driver: MemoryDriver) -> None:
    house = House(driver)
    run_id = await house.say("We took in a greyhound")
    await house.finish(await house.claim())
    assert await house.owed() == (run_id,)
    assert await House(driver).found("greyhound") == {"We took in a greyhound"}


async def test_no_more_are_owed_than_a_search_makes_in_a_moment(driver: MemoryDriver) -> None:
    house = House(driver)
    run_ids = [await house.say(f"Greyhound number {number}") for number in range(40)]
    assert await house.owed() == tuple(run_ids[:32])
    assert await house.said() == set(run_ids[32:])
    large = await House(driver).say("Greyhounds", size_bytes=100_000)
    assert large in await house.said()


async def test_of_what_was_replaced_deleted_or_erased_meanwhile_nothing_is_stored(driver: MemoryDriver) -> None:
    house, worker = House(driver), House(driver)
    replaced = await house.say("My code is 4711")
    claimed = await worker.claim()
    kept = await house.say("My code is a secret", replaces=replaced)
    assert await house.owed() == (kept,)
    late = {replaced: [Row(RowKind.SAID, replaced, b"{}", "", 1)]}
    finish = FinishCommand(claimed.claim, [], Sources([], Source(Origin(), 1)), Usage(), 10, said=late)
    await worker.writer.write(SARAH, finish)
    assert await house.said() == set()

    await house.sessions.delete(SARAH, "s1", None, forget_learned=False, purge_text=False, allow_missing=False)
    assert (await house.owed(), await house.said()) == ((), set())

    await house.say("My code is 4712")
    await Administration(house.users, house.writer).erase(SARAH, None)
    assert (await house.owed(), await house.said()) == ((), set())
    assert await house.found("code") == await House(driver).found("code") == set()


async def test_of_what_an_import_took_the_place_of_or_a_sweep_took_away_nothing_is_owed(driver: MemoryDriver) -> None:
    house = House(driver)
    first, second = await house.say("My code is 4711"), await house.say("My code is 4712")
    run = Run(session_id="s1", run_id=first, index=0, messages=(Message(Role.USER, (TextPart("My cat"),)),))
    settings = NamespaceSettings({}, 0, DEFAULT_SETTINGS)
    imported = [GivenRun(0, run, 10, LearningState.LEARNED)]
    await house.writer.write(SARAH, ImportRunsCommand(imported, ImportMode.OVERWRITE, Quiet(0, 0), settings, new_id()))
    assert (await house.owed(), await house.said()) == ((second,), {first})
    assert await house.found("cat code") == await House(driver).found("cat code") == {"My cat", "My code is 4712"}

    for extraction_id in (await house.users.latest(SARAH)).state.core.open:
        await house.writer.write(SARAH, CancelCommand(extraction_id, None))
    await house.writer.write(SARAH, ForgetRuns(now_micros() + 1_000_000))
    assert (await house.owed(), await house.said()) == ((), set())
