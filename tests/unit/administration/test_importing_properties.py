"""Whatever is imported, in whatever order and mode: a user stays whole, and goes out as it is."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from memsvc.access.allowance import Quotas
from memsvc.administration import Exporter, Importer, Outcome
from memsvc.administration.importing import Record
from memsvc.errors import AlreadyExists, Error, FailedPrecondition, ResourceExhausted
from memsvc.journal.state import load
from memsvc.model import (
    ImportMode,
    ImportResult,
    Layer,
    LearningState,
    Memory,
    Message,
    Role,
    Run,
    Scope,
    Session,
    TextPart,
    decode,
)
from memsvc.sessions import Quiet
from memsvc.sessions.importing import GivenRun
from memsvc.settings import SettingsReader
from memsvc.storage.driver import PageOf, RowKind
from memsvc.storage.memory import MemoryDriver
from memsvc.users import Users
from memsvc.writing.writer import Writer

SARAH, BEN = Scope("default", "sarah"), Scope("default", "ben")
QUOTA = 6

texts = st.sampled_from(["Skis", "Sails", "Rows", "é 🎿", "a\nb"])
memories = st.builds(
    lambda name, text, layer, key, number, time, superseded: Memory(
        memory_id=name,
        number=number,
        text=text,
        layer=layer,
        key=key,
        create_time=time,
        update_time=time,
        superseded=superseded,
    ),
    st.sampled_from(["m1", "m2", "m3", "m4", "m5", "m6", "m7"]),
    texts,
    st.sampled_from([Layer.PROFILE, Layer.KNOWLEDGE]),
    st.sampled_from(["", "", "role", "stack", "stack.languages", "stack.languages.first"]),
    st.integers(0, 6),
    st.integers(0, 2**40),
    st.sampled_from([False, False, True]),
)
runs = st.builds(
    lambda run_id, session_id, text, index, replaces, learning: (
        Run(
            session_id=session_id,
            run_id=run_id,
            index=index,
            messages=(Message(Role.USER, (TextPart(text),)),),
            replaces_run_id=replaces if replaces != run_id else "",
        ),
        learning,
    ),
    st.sampled_from(["r1", "r2", "r3", "r4", "r5"]),
    st.sampled_from(["s1", "s2"]),
    texts,
    st.integers(0, 8),
    st.sampled_from(["", "", "r1", "r2", "r9"]),
    st.sampled_from(list(LearningState)),
)


def is_list_of_one_request(records: Sequence[object]) -> bool:
    """Return whether no id and no key is given twice: the edge refuses others."""
    names: list[object] = []
    for each in records:
        if isinstance(each, Memory):
            names.append(("memory", each.memory_id))
            names += [(each.layer, each.key)] if each.key and not each.superseded else []
        else:
            names.append(("run", each[0].run_id))  # type: ignore[index]
    return len(names) == len(set(names))


requests = st.tuples(
    st.sampled_from(list(ImportMode)),
    st.lists(st.one_of(memories, runs), min_size=1, max_size=6).filter(is_list_of_one_request),
)


def records_of(drawn: Sequence[object]) -> list[Record]:
    return [
        each if isinstance(each, Memory) else GivenRun(place, each[0], 10, each[1])  # type: ignore[index]
        for place, each in enumerate(drawn)
    ]


class World:
    """A server's part in it."""

    def __init__(self, driver: MemoryDriver) -> None:
        self.driver = driver
        self.users = Users(driver)
        self.importer = Importer(Writer(self.users), Quotas(QUOTA), SettingsReader(self.users), Quiet(3_600, 3_600))
        self.exporter = Exporter(self.users)

    async def exported(self, scope: Scope, page_size: int = 1_000) -> list[object]:
        found: list[object] = []
        token = ""
        while True:
            page = await self.exporter.page(scope, page_size, token)
            found += [*page.memories, *page.runs]
            token = page.next_page_token
            if not token:
                return found

    async def check(self, scope: Scope) -> None:
        state = (await self.users.latest(scope)).state
        loaded = load(scope, await self.driver.load(scope, (RowKind.STATE, RowKind.MEMORY, RowKind.FORMER)))
        assert (state.core, state.layers, state.keys) == (loaded.core, loaded.layers, loaded.keys)
        assert state.former == loaded.former
        assert not any(memory.superseded for memory in state.memories())
        assert all(memory.superseded for memory in state.former.values())
        for layer in Layer:
            numbers = [memory.number for memory in state.layers[layer].values()]
            assert numbers == sorted(numbers)
        numbers = [memory.number for memory in state.all_memories()]
        assert len(set(numbers)) == len(numbers)
        assert all(0 < number < state.core.next_number for number in numbers)
        for layer in Layer:
            keys = sorted(memory.key for memory in state.layers[layer].values() if memory.key)
            assert not any(b == a or b.startswith(f"{a}.") for a in keys for b in keys if a is not b)
        assert state.memory_count <= QUOTA
        await self._check_runs(scope, state.core.next_index)

    async def _check_runs(self, scope: Scope, next_index: int) -> None:
        rows = await self.driver.rows(PageOf(scope, RowKind.RUN, limit=1_000))
        stored = [decode(row.body, Run) for row in rows]
        assert [run.index for run in stored] == [row.position for row in rows]
        assert all(run.index < next_index for run in stored)
        said = {row.row_id for row in await self.driver.rows(PageOf(scope, RowKind.SAID, limit=1_000))}
        assert said == {run.run_id for run in stored if not run.replaced}
        for row in await self.driver.rows(PageOf(scope, RowKind.SESSION, limit=1_000)):
            session = decode(row.body, Session)
            there = [run for run in stored if run.session_id == session.session_id and not run.replaced]
            assert session.run_count == len(there)
            assert session.message_count == sum(len(run.messages) for run in there)
            assert session.last_index == max(run.index for run in stored if run.session_id == session.session_id)


@settings(deadline=None, max_examples=60)
@given(st.lists(requests, min_size=1, max_size=4), st.integers(1, 3))
def test_whatever_is_imported_a_user_is_whole_and_goes_out_as_it_is(
    asked: list[tuple[ImportMode, list[object]]], page_size: int
) -> None:
    async def live() -> None:
        driver = MemoryDriver("memory://", {})
        await driver.open()
        world = World(driver)
        for mode, drawn in asked:
            before = await world.exported(SARAH)
            records = records_of(drawn)
            try:
                outcomes, _ = await world.importer.bring_in(SARAH, records, mode, None)
            except (AlreadyExists, FailedPrecondition, ResourceExhausted) as error:
                names_one = error.fields[0].field.startswith("records[")
                changed_nothing = mode is not ImportMode.FAIL or await world.exported(SARAH) == before
            else:
                names_one = changed_nothing = True
                await check_outcomes(world, records, mode, outcomes)
            assert names_one
            assert changed_nothing
            await world.check(SARAH)
        whole = await world.exported(SARAH)
        assert await world.exported(SARAH, page_size) == whole
        await moved(world, whole)
        await driver.close()

    asyncio.run(live())


async def check_outcomes(world: World, records: list[Record], mode: ImportMode, outcomes: Sequence[Outcome]) -> None:
    state = (await world.users.latest(SARAH)).state
    for record, outcome in zip(records, outcomes, strict=True):
        if outcome.result is ImportResult.SKIPPED:
            assert mode is ImportMode.SKIP
        elif isinstance(record, Memory):
            there = state.memory(record.memory_id)
            assert there is not None
            assert (there.text, there.layer, there.key) == (record.text, record.layer, record.key)
            assert there.superseded == record.superseded
            assert there.number == outcome.number
            if record.create_time:
                assert (there.create_time, there.update_time) == (record.create_time, record.update_time)


async def moved(world: World, exported: list[object]) -> None:
    """Move a user to where nothing is, and look that it is the same."""
    records: list[Record] = []
    for place, each in enumerate(exported):
        if isinstance(each, Memory):
            records.append(each)
        else:
            assert isinstance(each, tuple)
            run, learning = each
            # What replaced it is not told: that follows from what that one says.
            records.append(GivenRun(place, replace(run, replaced_by=""), 10, learning))
    if not records:
        return
    try:
        await world.importer.bring_in(BEN, records, ImportMode.FAIL, None)
    except Error as error:
        raise AssertionError(error) from error
    await world.check(BEN)
    again = await world.exported(BEN)
    assert [comparable(each) for each in again] == [comparable(each) for each in exported]


def comparable(each: object) -> object:
    if isinstance(each, Memory):
        return (each.memory_id, each.number, each.layer, each.key, each.text, each.create_time, each.update_time)
    assert isinstance(each, tuple)
    run, learning = each
    return (run.run_id, run.index, run.session_id, run.messages, run.create_time, learning)
