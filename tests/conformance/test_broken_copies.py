"""The suite finds what is broken in how a driver names users, keeps what is copied, and reads the clock."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence

import msgspec
import pytest

from memsvc.model import Scope
from memsvc.storage.conformance import Verdict
from memsvc.storage.driver import EMPTY, Append, Due, Loaded, Outcome, PageOf, Record, Row, RowKind
from memsvc.storage.memory import MemoryDriver
from tests.conformance.broken import verdict_on


class ShowsWhatIsSeeded(MemoryDriver):
    async def load(self, scope: Scope, kinds: Collection[RowKind]) -> Loaded:
        user = self._store.get(scope)
        return Loaded(user.tip, [row for row in user.rows.values() if row.kind in kinds]) if user else Loaded(EMPTY, [])


class SeedsOverWhatIsThere(MemoryDriver):
    async def seed(self, scope: Scope, rows: Sequence[Row], *, afresh: bool) -> None:
        await super().seed(scope, rows, afresh=False)


class SeedsNobodyWithAJournal(MemoryDriver):
    async def seed(self, scope: Scope, rows: Sequence[Row], *, afresh: bool) -> None:
        if await self.tips([scope]) == [EMPTY]:
            await super().seed(scope, rows, afresh=afresh)


class BeginsEveryJournalAtOne(MemoryDriver):
    async def append(self, batch: Sequence[Append]) -> Sequence[Outcome]:
        outcomes = await super().append(batch)
        for item in batch:
            if item.after == EMPTY:
                self._store[item.scope].floor = 1
        return outcomes

    async def records(self, scope: Scope, after: int, limit: int) -> Sequence[Record]:
        records = self._store[scope].records if scope in self._store else {}
        return [records[seq] for seq in sorted(records) if seq > after][:limit]


class NamesOnlyUsersThatAreListed(MemoryDriver):
    async def scopes(self, after: Scope | None, limit: int) -> Sequence[Scope]:
        found = await super().scopes(after, 1 << 60)
        return [scope for scope in found if scope.user_id and not self._store[scope].erased][:limit]


class DropsRequestsThatEnded(MemoryDriver):
    async def load(self, scope: Scope, kinds: Collection[RowKind]) -> Loaded:
        loaded = await super().load(scope, kinds)
        now = time.time_ns() // 1_000
        return Loaded(loaded.tip, [row for row in loaded.rows if row.kind is not RowKind.REQUEST or row.position > now])


class AsksItsOwnClock(MemoryDriver):
    async def due(self, before: int, limit: int) -> Sequence[Due]:
        return await super().due(min(before, time.time_ns() // 1_000), limit)


class OrdersRecordsByTime(MemoryDriver):
    async def records(self, scope: Scope, after: int, limit: int) -> Sequence[Record]:
        return sorted(await super().records(scope, after, limit), key=lambda record: record.time)


class TakesTheEmptyGroupForAll(MemoryDriver):
    async def rows(self, page: PageOf) -> Sequence[Row]:
        return await super().rows(msgspec.structs.replace(page, group=page.group or None))


class PagesUsersByOffset(MemoryDriver):
    async def users(self, namespace: str, after: str, limit: int) -> Sequence[str]:
        found = list(await super().users(namespace, "", 1 << 60))
        start = found.index(after) + 1 if after in found else 0
        return found[start : start + limit]


class StripsDollars(MemoryDriver):
    async def append(self, batch: Sequence[Append]) -> Sequence[Outcome]:
        return await super().append(
            [
                msgspec.structs.replace(
                    item, puts=[msgspec.structs.replace(row, body=row.body.replace(b"$", b"")) for row in item.puts]
                )
                for item in batch
            ]
        )


BROKEN = (
    (ShowsWhatIsSeeded, "test_what_is_seeded_shows_with_the_first_record"),
    (SeedsOverWhatIsThere, "test_seeding_afresh_drops_what_was_seeded"),
    (SeedsNobodyWithAJournal, "test_a_copy_that_was_cut_is_seeded_again"),
    (BeginsEveryJournalAtOne, "test_a_copied_user_is_the_same"),
    (NamesOnlyUsersThatAreListed, "test_scopes_name_every_journal"),
    (DropsRequestsThatEnded, "test_nothing_is_dropped_because_it_is_old"),
    (AsksItsOwnClock, "test_due_compares_the_times_it_is_given"),
    (OrdersRecordsByTime, "test_order_is_by_seq_whatever_the_clocks_say"),
    (TakesTheEmptyGroupForAll, "test_the_empty_group_is_a_group"),
    (PagesUsersByOffset, "test_users_are_stable_under_erasures"),
    (StripsDollars, "test_memories_keep_every_field"),
)


@pytest.mark.parametrize(
    ("broken", "name"), [pytest.param(*pair, id=f"{pair[0].__name__}-{pair[1]}") for pair in BROKEN]
)
async def test_the_suite_finds(broken: type[MemoryDriver], name: str) -> None:
    assert await verdict_on(broken, name) is Verdict.FAILED
