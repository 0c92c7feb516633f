"""Whatever is written: every past revision is what was read then, and can be brought back."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from memsvc.access.allowance import Quotas
from memsvc.administration import Administration
from memsvc.errors import Error, OutOfRange, Reason
from memsvc.journal.past import AsOf
from memsvc.memories import (
    BringBack,
    Create,
    Delete,
    Guard,
    MemoryOrder,
    MemoryReader,
    MemoryRestorer,
    MemoryWriter,
    Operation,
    Restoring,
    Revert,
    Target,
    Update,
)
from memsvc.model import Cause, Layer, Memory, Scope
from memsvc.search.filter import ANY, MemoryFilter
from memsvc.storage.memory import MemoryDriver
from memsvc.users import LATEST, Consistency, Users
from memsvc.writing.writer import Writer

SARAH = Scope("default", "sarah")
QUOTA = 5
Snapshot = Mapping[str, Memory]

ids = st.sampled_from(["m1", "m2", "m3", "m4", "m5", "m6"])
keys = st.sampled_from(["", "", "role", "stack", "stack.languages"])
layers = st.sampled_from([Layer.PROFILE, Layer.KNOWLEDGE])
texts = st.sampled_from(["Skis", "Sails", "Rows", "Swims"])
memories = st.builds(
    lambda name, text, layer, key: Memory(memory_id=name, number=0, text=text, layer=layer, key=key),
    ids,
    texts,
    layers,
    keys,
)
text_only = frozenset(("text",))
operations = st.one_of(
    st.builds(Create, memories),
    st.builds(lambda memory: Update(Target(memory.memory_id), memory, text_only, allow_missing=True), memories),
    st.builds(lambda memory: Update(Target(memory.memory_id), memory, text_only, allow_missing=True), memories),
    st.builds(lambda name: Delete(Target(name), allow_missing=True), ids),
)


def named(operation: Operation) -> str:
    return operation.memory.memory_id if isinstance(operation, Create) else operation.target.memory_id


writes = st.lists(operations, min_size=1, max_size=3, unique_by=named)
back = st.integers(0, 12)
steps = st.one_of(
    st.tuples(st.just("write"), writes),
    st.tuples(st.just("write"), writes),
    st.tuples(st.just("write"), writes),
    st.tuples(st.just("purge"), ids),
    st.tuples(st.just("clear"), st.booleans()),
    st.tuples(st.just("revert"), back),
    st.tuples(st.just("all"), back),
    st.tuples(st.just("some"), st.tuples(back, st.lists(ids, min_size=1, max_size=3, unique=True))),
    st.tuples(st.just("erase"), st.none()),
)


class World:
    """One user of one server, and what was read at each of its revisions."""

    def __init__(self, driver: MemoryDriver) -> None:
        self.driver = driver
        self.users = Users(driver)
        writer = Writer(self.users)
        self.writing = MemoryWriter(self.users, writer, Quotas(QUOTA))
        self.restorer = MemoryRestorer(self.users, writer, Quotas(QUOTA))
        self.reader = MemoryReader(self.users)
        self.administration = Administration(self.users, writer)
        self.read: dict[int, dict[str, Memory]] = {0: {}}
        self.purged: dict[int, set[str]] = {}
        self.times: dict[int, int] = {}
        self.first = 0
        """Before this revision all is erased."""

    @property
    def newest(self) -> int:
        return max(self.read)

    async def memories(self, consistency: Consistency = LATEST) -> dict[str, Memory]:
        page = await self.reader.list(SARAH, ANY, MemoryOrder.CREATE_TIME_ASC, 1_000, "", consistency)
        found = (page.user.get(memory_id) for _, memory_id in page.entries)
        return {memory.memory_id: memory for memory in found if memory is not None}

    async def step(self, kind: str, what: Any) -> None:
        before = self.read[self.newest]
        if kind == "write":
            await self._write(what)
        elif kind == "purge":
            self._forget([what])
            await self.writing.write(SARAH, [Delete(Target(what), allow_missing=True)], Guard(), purge_text=True)
        elif kind == "clear":
            if what:
                self._forget(before)
                # All that was ever there.
                self._forget({name for read in self.read.values() for name in read})
            await self.writing.clear(SARAH, MemoryFilter(), Guard(), purge_text=what)
        elif kind == "erase":
            await self.administration.erase(SARAH, None)
            self.first = (await self.users.latest(SARAH)).revision
        elif kind == "revert":
            await self._restore(Revert(max(0, self.newest - what)))
        elif kind == "all":
            await self._all(max(self.first, self.newest - what))
        else:
            revision = max(0, self.newest - what[0])
            await self._restore(BringBack(revision, what[1]))

    async def look(self) -> None:
        user = await self.users.latest(SARAH)
        self.read[user.revision] = await self.memories()
        places = [(each.layer, each.key) for each in self.read[user.revision].values() if each.key]
        assert len(places) == len(set(places))
        assert len(self.read[user.revision]) <= QUOTA
        self.times.setdefault(user.revision, user.state.core.time)

    def known(self, revision: int) -> Snapshot:
        """Return what was read at a revision, without what was purged since."""
        gone = self.purged.get(revision, set())
        return {name: memory for name, memory in self.read[revision].items() if name not in gone}

    async def _write(self, operations: list[Operation]) -> None:
        try:
            await self.writing.write(SARAH, operations, Guard(), batch=True)
        except Error as error:
            assert error.reason is not Reason.INTERNAL  # noqa: PT017

    def _forget(self, names: Any) -> None:
        for revision in self.read:
            self.purged.setdefault(revision, set()).update(names)

    async def _restore(self, restoring: Restoring) -> None:
        would, refused = None, None
        try:
            would = await self.restorer.would_restore(SARAH, restoring, Guard())
        except Error as error:
            refused = error.reason
        assert await self.memories() == self.read[self.newest]
        try:
            did = await self.restorer.restore(SARAH, restoring, Guard())
        except Error as error:
            assert refused is error.reason is not Reason.INTERNAL  # noqa: PT017
            return
        if isinstance(restoring, Revert) and restoring.revision:
            self._check_reverted(restoring.revision, await self.memories())
        assert would is not None
        assert [each.memory_id for each in would.commit.changes] == [each.memory_id for each in did.commit.changes]
        assert all(change.cause is Cause.RESTORED for change in did.commit.changes)
        if isinstance(restoring, BringBack) and restoring.memory_ids:
            known, now = self.known(restoring.revision), await self.memories()
            assert {n: plain(now[n]) for n in restoring.memory_ids if n in now} == {
                n: plain(known[n]) for n in restoring.memory_ids if n in known
            }

    def _check_reverted(self, revision: int, now: Snapshot) -> None:
        """All that the revision changed is as before it, and was as the revision left it; the rest did not change.

        What was purged since is part of the rest.
        """
        before, after, last = self.known(revision - 1), self.known(revision), self.read[self.newest]
        changed = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
        for name in changed:
            assert plain(now.get(name)) == plain(before.get(name))
            assert last.get(name) == after.get(name) or plain(last.get(name)) == plain(before.get(name))
        assert {n: m for n, m in now.items() if n not in changed} == {n: m for n, m in last.items() if n not in changed}

    async def _all(self, revision: int) -> None:
        known, purged = self.known(revision), self.read[revision].keys() - self.known(revision).keys()
        try:
            did = await self.restorer.restore(SARAH, BringBack(revision), Guard())
        except Error as error:
            # What is left of a purged memory may hold a place, or the last one.
            assert purged
            assert error.reason in (Reason.KEY_TAKEN, Reason.KEY_CONFLICT, Reason.QUOTA_EXCEEDED)  # noqa: PT017
            return
        now = await self.memories()
        assert {name: plain(memory) for name, memory in now.items() if name not in purged} == {
            name: plain(memory) for name, memory in known.items()
        }
        assert set(did.purged) <= purged


def plain(memory: Memory | None) -> Memory | None:
    """Return what a memory is, whenever it changed."""
    return replace(memory, update_time=0, etag="") if memory is not None else None


async def check_all(world: World, users: Users) -> None:
    reader = MemoryReader(users)
    world.reader = reader
    for revision in world.read:
        asked = [Consistency(as_of=AsOf(revision))]
        if revision in world.times:
            asked.append(Consistency(as_of=AsOf(time=world.times[revision])))
        for consistency in asked:
            if revision < world.first:
                try:
                    await world.memories(consistency)
                except OutOfRange as error:
                    assert error.reason is Reason.HISTORY_TRIMMED  # noqa: PT017
                    continue
                raise AssertionError("what was erased can be read")
            assert await world.memories(consistency) == world.known(revision), revision
            page = await reader.list(SARAH, ANY, MemoryOrder.KEY, 1, "", consistency)
            assert page.user.revision == revision


@settings(deadline=None, max_examples=300)
@given(st.lists(steps, max_size=20))
def test_every_past_revision_is_what_was_read_then(drawn: list[tuple[str, Any]]) -> None:
    async def run() -> None:
        driver = MemoryDriver("memory://", {})
        await driver.open()
        world = World(driver)
        for kind, what in drawn:
            await world.step(kind, what)
            await world.look()
        await check_all(world, world.users)
        fresh = Users(driver)
        await check_all(world, fresh)
        hot, loaded = (await world.users.latest(SARAH)).state, (await fresh.latest(SARAH)).state
        assert [list(each.items()) for each in hot.layers.values()] == [
            list(each.items()) for each in loaded.layers.values()
        ]
        assert hot.keys == loaded.keys
        assert hot.core.next_number == loaded.core.next_number

    asyncio.run(run())
