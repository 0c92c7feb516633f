"""Whatever is asked of a driver, in whatever order, it answers what the reference driver answers."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Coroutine, Iterator, Sequence
from typing import Any, ClassVar, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from memsvc.model import Scope
from memsvc.storage.conformance import Place
from memsvc.storage.conformance.items import (
    by_key,
    extraction,
    item,
    memory,
    request,
    run,
    session,
    state,
    tip_of,
)
from memsvc.storage.driver import EMPTY, Append, Driver, Row, RowKey, RowKind, Tip, TruncatedJournal
from memsvc.storage.memory import MemoryDriver

Reply = TypeVar("Reply")

USERS = ("", "a", "a ", "é", "e\u0301", "😀", "%")
ROW_IDS = ("x", "X", "x/y", "日本")
GROUPS = ("s1", "s1 ")

users = st.sampled_from(USERS)
kinds = st.sampled_from(RowKind)
row_keys = st.builds(RowKey, kinds.filter(lambda kind: kind is not RowKind.STATE), st.sampled_from(ROW_IDS))
row_keys |= st.just(RowKey(RowKind.STATE, ""))
seqs = st.integers(0, 12)
dues = st.integers(0, 5)
limits = st.sampled_from((1, 2, 3, 100))
edges = st.none() | st.integers(0, 1_000_003)


class Comparison(RuleBasedStateMachine):
    """Does the same to both drivers, each example in a namespace of its own, and compares every reply."""

    runner: ClassVar[asyncio.Runner]
    drivers: ClassVar[tuple[Driver, Driver]]

    def __init__(self) -> None:
        super().__init__()
        self._namespace = f"comparison-{secrets.token_hex(8)}"
        self._tips: dict[str, list[Tip]] = {user_id: [EMPTY] for user_id in USERS}
        self._places = 0

    @rule(
        user_ids=st.lists(users, min_size=1, max_size=3, unique=True),
        back=st.sampled_from((0, 0, 0, 0, 0, 1, 2, 7)),
        forge=st.sampled_from((False, False, False, False, True)),
        bodies=st.lists(st.binary(max_size=3), min_size=1, max_size=3),
        puts=st.sets(row_keys, max_size=5),
        deletes=st.sets(row_keys, max_size=3),
        groups=st.lists(st.sampled_from(GROUPS), min_size=5, max_size=5),
        due=dues,
        erases=st.sampled_from((False, False, False, False, True)),
    )
    def append(
        self,
        user_ids: list[str],
        back: int,
        forge: bool,
        bodies: list[bytes],
        puts: set[RowKey],
        deletes: set[RowKey],
        groups: list[str],
        due: int,
        erases: bool,
    ) -> None:
        """Append to some users, to the first of them at a tip of long ago or one that never was."""
        batch = []
        for number, user_id in enumerate(user_ids):
            known = self._tips[user_id]
            after = known[-1] if number else known[max(-1 - back, -len(known))]
            if forge and not number:
                after = Tip(after.seq, secrets.token_hex(8))
            rows = [self._row(key, group) for key, group in zip(sorted(puts), groups, strict=False)]
            gone = sorted(deletes - puts)
            batch.append(
                item(Scope(self._namespace, user_id), after, bodies, puts=rows, deletes=gone, due=due, erases=erases)
            )
        self._same(lambda driver: driver.append(batch), list)
        for appended in batch:
            self._learn(appended)

    @rule(user_id=users, floor=seqs)
    def truncate(self, user_id: str, floor: int) -> None:
        self._same(lambda driver: driver.truncate(Scope(self._namespace, user_id), floor))

    @rule(user_id=users, bodies=st.dictionaries(seqs, st.binary(max_size=3), max_size=3))
    def redact(self, user_id: str, bodies: dict[int, bytes]) -> None:
        self._same(lambda driver: driver.redact(Scope(self._namespace, user_id), bodies))

    @rule()
    def tips(self) -> None:
        scopes = [Scope(self._namespace, user_id) for user_id in USERS]
        self._same(lambda driver: driver.tips(scopes), list)

    @rule(user_id=users, only=st.sets(kinds))
    def load(self, user_id: str, only: set[RowKind]) -> None:
        self._same(
            lambda driver: driver.load(Scope(self._namespace, user_id), only),
            lambda loaded: (loaded.tip, by_key(loaded.rows), len(loaded.rows)),
        )

    @rule(user_id=users, after=seqs, limit=limits)
    def records(self, user_id: str, after: int, limit: int) -> None:
        async def read(driver: Driver) -> object:
            try:
                return list(await driver.records(Scope(self._namespace, user_id), after, limit))
            except TruncatedJournal as truncated:
                return truncated.first

        self._same(read)

    @rule(
        user_id=users,
        kind=kinds.filter(lambda kind: kind not in (RowKind.STATE, RowKind.REQUEST)),
        group=st.none() | st.sampled_from(("", "s1", "s1 ", "S1")),
        after=edges,
        before=edges,
        descending=st.booleans(),
        limit=limits,
    )
    def rows(
        self,
        user_id: str,
        kind: RowKind,
        group: str | None,
        after: int | None,
        before: int | None,
        descending: bool,
        limit: int,
    ) -> None:
        self._same(
            lambda driver: driver.rows(
                Scope(self._namespace, user_id),
                kind,
                group=group,
                after=after,
                before=before,
                descending=descending,
                limit=limit,
            ),
            list,
        )

    @rule(user_id=users, kind=kinds, row_ids=st.lists(st.sampled_from((*ROW_IDS, "absent")), max_size=4))
    def get(self, user_id: str, kind: RowKind, row_ids: list[str]) -> None:
        self._same(lambda driver: driver.get(Scope(self._namespace, user_id), kind, row_ids), dict)

    @rule(before=dues)
    def due(self, before: int) -> None:
        def own(found: Sequence[tuple[Scope, int]]) -> object:
            times = [time for scope, time in found if scope.namespace == self._namespace]
            assert times == sorted(times)
            return sorted((time, scope) for scope, time in found if scope.namespace == self._namespace)

        self._same(lambda driver: driver.due(before, 100_000), own)

    @rule(after=users, limit=limits)
    def list_users(self, after: str, limit: int) -> None:
        self._same(lambda driver: driver.users(self._namespace, after, limit), list)

    def teardown(self) -> None:
        """Leave nothing due: later examples would have to read past it."""
        scopes = [Scope(self._namespace, user_id) for user_id in USERS]
        for driver in self.drivers:
            tips = self.runner.run(driver.tips(scopes))
            erasures = [item(scope, tip, erases=True) for scope, tip in zip(scopes, tips, strict=True) if tip != EMPTY]
            self.runner.run(driver.append(erasures))

    def _same(
        self, call: Callable[[Driver], Coroutine[Any, Any, Reply]], essence: Callable[[Reply], object] = lambda it: it
    ) -> None:
        expected, answered = [essence(self.runner.run(call(driver))) for driver in self.drivers]
        assert answered == expected

    def _learn(self, appended: Append) -> None:
        [tip] = self.runner.run(self.drivers[0].tips([appended.scope]))
        if tip == tip_of(appended):
            self._tips[appended.scope.user_id].append(tip)

    def _row(self, key: RowKey, group: str) -> Row:
        """Return the row with a position that no other has, in no particular order."""
        self._places += 1
        place = self._places * 617_369 % 1_000_003
        match key.kind:
            case RowKind.STATE:
                return state(place)
            case RowKind.RUN:
                return run(key.row_id, place, session=group)
            case RowKind.MEMORY:
                return memory(key.row_id, group, position=place)
        made = {RowKind.SESSION: session, RowKind.EXTRACTION: extraction, RowKind.REQUEST: request}
        return made[key.kind](key.row_id, place)


@pytest.fixture
def comparison(place: Place) -> Iterator[type[Comparison]]:
    with asyncio.Runner() as runner:
        reference, tried = MemoryDriver("memory://", {}), place.connect()
        runner.run(reference.open())
        runner.run(tried.open())
        yield type("ComparisonOfPlace", (Comparison,), {"runner": runner, "drivers": (reference, tried)})
        runner.run(tried.close())


def test_a_driver_answers_what_the_reference_driver_answers(comparison: type[Comparison]) -> None:
    run_state_machine_as_test(
        comparison,
        settings=settings(
            max_examples=40, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
        ),
    )
