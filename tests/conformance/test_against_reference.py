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
    former,
    history,
    item,
    memory,
    request,
    run,
    said,
    session,
    state,
    summary,
    tip_of,
    vector,
)
from memsvc.storage.driver import (
    EMPTY,
    Append,
    Driver,
    Outcome,
    PageOf,
    Record,
    Redaction,
    Row,
    RowKey,
    RowKind,
    Tip,
    TruncatedJournal,
)
from memsvc.storage.memory import MemoryDriver

Reply = TypeVar("Reply")

EXAMPLES = 25
LEAST_EXAMPLES = 5
STEPS = 30
USERS = ("", "\u00e9", "\u00c9", "e\u0301")
ROW_IDS = ("x", "X", "x/y", "日本")
GROUPS = ("s1", "s1 ")

users = st.sampled_from(USERS)
kinds = st.sampled_from(RowKind)
row_keys = st.builds(RowKey, kinds.filter(lambda kind: kind is not RowKind.STATE), st.sampled_from(ROW_IDS))
row_keys |= st.just(RowKey(RowKind.STATE, ""))
seqs = st.integers(0, 12)
dues = st.integers(0, 5)
limits = st.sampled_from((1, 2, 3, 100))
edges = st.none() | st.integers(0, 1_000)


class Comparison(RuleBasedStateMachine):
    """Does the same to both drivers, each example in a namespace of its own, and compares every reply."""

    runner: ClassVar[asyncio.Runner]
    drivers: ClassVar[tuple[Driver, Driver]]
    scale: ClassVar[float]
    """How much can be asked of the store, next to a fast one."""

    def __init__(self) -> None:
        super().__init__()
        self._namespace = f"comparison-{secrets.token_hex(8)}"
        self._tips: dict[Scope, list[Tip]] = {self._scope(user_id): [EMPTY] for user_id in USERS}
        self._places = 0

    @rule(
        user_ids=st.lists(users, min_size=1, max_size=3, unique=True),
        bodies=st.lists(st.binary(max_size=3), min_size=1, max_size=3),
        puts=st.sets(row_keys, max_size=8),
        deletes=st.sets(row_keys, max_size=4),
        group=st.sampled_from(GROUPS),
        due=dues,
        erases=st.sampled_from((False, False, False, False, True)),
    )
    def append(
        self,
        user_ids: list[str],
        bodies: list[bytes],
        puts: set[RowKey],
        deletes: set[RowKey],
        group: str,
        due: int,
        erases: bool,
    ) -> None:
        rows = [self._row(key, group) for key in sorted(puts)]
        gone = sorted(deletes - puts)
        batch = [
            item(scope, self._tips[scope][-1], bodies, puts=rows, deletes=gone, due=due, erases=erases)
            for scope in map(self._scope, user_ids)
        ]
        self._append(batch)

    @rule(
        user_id=users,
        bystander=users,
        back=st.integers(0, 8),
        forge=st.sampled_from((False, False, True)),
        erases=st.booleans(),
    )
    def append_stale(self, user_id: str, bystander: str, back: int, forge: bool, erases: bool) -> None:
        """Append at a tip of long ago, or one that never was; another user's append goes along in the batch."""
        scope, other = self._scope(user_id), self._scope(bystander)
        known = self._tips[scope]
        after = Tip(known[-1].seq, secrets.token_hex(8)) if forge else known[max(-1 - back, -len(known))]
        batch = [item(scope, after, puts=[self._row(RowKey(RowKind.MEMORY, "x"), "")], due=1, erases=erases)]
        if other != scope:
            batch.append(item(other, self._tips[other][-1]))
        self._append(batch)

    @rule(user_id=users, floor=seqs)
    def truncate(self, user_id: str, floor: int) -> None:
        scope = self._scope(user_id)
        self._same(lambda driver: driver.truncate(scope, floor))
        self._same_user(scope)

    @rule(
        user_id=users,
        bodies=st.dictionaries(seqs, st.tuples(st.binary(max_size=3), st.none() | st.binary(max_size=3)), max_size=3),
    )
    def redact(self, user_id: str, bodies: dict[int, tuple[bytes, bytes | None]]) -> None:
        """Replace bodies, of records that say what is believed (None), or perhaps not."""
        scope = self._scope(user_id)
        held = {record.seq: record.body for record in self.runner.run(history(self.drivers[0], scope))}
        redactions = [
            Redaction(seq, held.get(seq, b"") if old is None else old, new) for seq, (new, old) in bodies.items()
        ]

        async def redact(driver: Driver) -> list[int]:
            return sorted(await driver.redact(scope, redactions))

        self._same(redact)
        self._same_user(scope)

    @rule(user_id=users, only=st.sets(kinds))
    def load(self, user_id: str, only: set[RowKind]) -> None:
        self._same_load(self._scope(user_id), only)

    @rule(user_id=users, after=seqs, limit=limits)
    def records(self, user_id: str, after: int, limit: int) -> None:
        self._same_records(self._scope(user_id), after, limit)

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
        scope, first, last = self._scope(user_id), self._edge(after), self._edge(before)
        self._same(
            lambda driver: driver.rows(
                PageOf(scope, kind, group=group, after=first, before=last, descending=descending, limit=limit)
            )
        )

    @rule(user_id=users, kind=kinds, row_ids=st.lists(st.sampled_from((*ROW_IDS, "absent")), max_size=4))
    def get(self, user_id: str, kind: RowKind, row_ids: list[str]) -> None:
        scope = self._scope(user_id)
        self._same(lambda driver: driver.get(scope, kind, row_ids))

    @rule(before=dues)
    def due(self, before: int) -> None:
        self._same_due(before)

    @rule(after=users, limit=limits)
    def list_users(self, after: str, limit: int) -> None:
        self._same(lambda driver: driver.users(self._namespace, after, limit))

    def teardown(self) -> None:
        """Leave nothing due: later examples would have to read past it."""
        tips = {scope: known[-1] for scope, known in self._tips.items() if known[-1] != EMPTY}
        erasures = [item(scope, tip, erases=True) for scope, tip in tips.items()]
        for driver in self.drivers:
            self.runner.run(_in_time(driver.append(erasures)))

    def _append(self, batch: Sequence[Append]) -> None:
        outcomes = self._same(lambda driver: driver.append(batch))
        for appended, outcome in zip(batch, outcomes, strict=True):
            if outcome is Outcome.APPENDED:
                self._tips[appended.scope].append(tip_of(appended))
            self._same_user(appended.scope)

    def _same_user(self, scope: Scope) -> None:
        """Compare everything that is kept of a user."""
        self._same(lambda driver: driver.tips([scope]))
        self._same_load(scope, set(RowKind))
        self._same_records(scope, 0, 100)
        self._same_records(scope, max(self._tips[scope][-1].seq - 3, 0), 100)
        self._same_due(100)
        self._same(lambda driver: driver.users(self._namespace, "", 100))
        edge = self._edge(self._places // 2)
        self._same(lambda driver: driver.rows(PageOf(scope, RowKind.MEMORY, after=edge, limit=2)))

    def _same_due(self, before: int) -> None:
        async def read(driver: Driver) -> list[tuple[int, Scope]]:
            found = await driver.due(before, 100_000)
            times = [due.time for due in found]
            assert times == sorted(times)
            return sorted((due.time, due.scope) for due in found if due.scope.namespace == self._namespace)

        self._same(read)

    def _same_load(self, scope: Scope, only: set[RowKind]) -> None:
        async def read(driver: Driver) -> tuple[Tip, dict[RowKey, Row], int]:
            loaded = await driver.load(scope, only)
            return loaded.tip, by_key(loaded.rows), len(loaded.rows)

        self._same(read)

    def _same_records(self, scope: Scope, after: int, limit: int) -> None:
        async def read(driver: Driver) -> list[Record] | int:
            try:
                return list(await driver.records(scope, after, limit))
            except TruncatedJournal as truncated:
                return truncated.first

        self._same(read)

    def _same(self, call: Callable[[Driver], Coroutine[Any, Any, Reply]]) -> Reply:
        """Make both drivers answer, compare what they say, and return it."""
        expected, answered = [self.runner.run(_in_time(call(driver))) for driver in self.drivers]
        assert _plain(answered) == _plain(expected)
        return expected

    def _scope(self, user_id: str) -> Scope:
        return Scope(self._namespace, user_id)

    def _edge(self, drawn: int | None) -> int | None:
        """Return a position at which there may be a row, or next to it."""
        return None if drawn is None else _place(drawn % (self._places + 1)) + drawn % 3 - 1

    def _row(self, key: RowKey, group: str) -> Row:
        """Return the row with a position that no other has, in no particular order."""
        self._places += 1
        place = _place(self._places)
        match key.kind:
            case RowKind.STATE:
                return state(place)
            case RowKind.RUN:
                return run(key.row_id, place, session=group)
            case RowKind.MEMORY:
                return memory(key.row_id, group, position=place)
        made = {
            RowKind.SESSION: session,
            RowKind.EXTRACTION: extraction,
            RowKind.REQUEST: request,
            RowKind.VECTOR: vector,
            RowKind.SAID: said,
            RowKind.FORMER: former,
            RowKind.SUMMARY: summary,
        }
        return made[key.kind](key.row_id, place)


async def _in_time(reply: Coroutine[Any, Any, Reply]) -> Reply:
    """Wait for a reply, but not for one that never comes."""
    async with asyncio.timeout(20):
        return await reply


def _plain(reply: object) -> object:
    """Return the reply as something to compare: which kind of sequence it is does not matter."""
    return list(reply) if isinstance(reply, Sequence) else reply


def _place(number: int) -> int:
    """Return the position of the row made as the `number`th: each another, in no particular order."""
    return number * 617_369 % 1_000_003


@pytest.fixture
def comparison(place: Place) -> Iterator[type[Comparison]]:
    with asyncio.Runner() as runner:
        reference, tried = MemoryDriver("memory://", {}), place.connect()
        runner.run(reference.open())
        runner.run(tried.open())
        found = {"runner": runner, "drivers": (reference, tried), "scale": runner.run(place.bench().scale(place))}
        yield type("ComparisonOfPlace", (Comparison,), found)
        runner.run(_in_time(tried.close()))


@pytest.mark.timeout(180)
def test_a_driver_answers_what_the_reference_driver_answers(comparison: type[Comparison]) -> None:
    run_state_machine_as_test(
        comparison,
        settings=settings(
            max_examples=max(LEAST_EXAMPLES, round(EXAMPLES * comparison.scale)),
            stateful_step_count=STEPS,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )
