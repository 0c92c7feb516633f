"""The suite finds what is broken: each driver here breaks one promise, and the test that holds it fails."""

from __future__ import annotations

import asyncio
import json
import unicodedata
from collections.abc import Collection, Mapping, Sequence

import msgspec
import pytest

from memsvc.errors import StorageUnavailable
from memsvc.model import Scope
from memsvc.storage.conformance import Verdict
from memsvc.storage.driver import (
    EMPTY,
    Append,
    Due,
    Loaded,
    Outcome,
    PageOf,
    Record,
    Redaction,
    Row,
    RowKind,
    Tip,
    TruncatedJournal,
)
from memsvc.storage.memory import MemoryDriver
from tests.conformance.broken import verdict_on


class ComparesSeqsOnly(MemoryDriver):
    async def append(self, batch: Sequence[Append]) -> Sequence[Outcome]:
        tips = await self.tips([item.scope for item in batch])
        same = [item.after.seq == tip.seq for item, tip in zip(batch, tips, strict=True)]
        return await super().append(
            [
                msgspec.structs.replace(item, after=tip if hit else item.after)
                for item, tip, hit in zip(batch, tips, same, strict=True)
            ]
        )


class FailsTheWholeBatch(MemoryDriver):
    async def append(self, batch: Sequence[Append]) -> Sequence[Outcome]:
        tips = await self.tips([item.scope for item in batch])
        if any(item.after != tip for item, tip in zip(batch, tips, strict=True)):
            return [Outcome.CONFLICT] * len(batch)
        return await super().append(batch)


class ChecksThenActs(MemoryDriver):
    async def append(self, batch: Sequence[Append]) -> Sequence[Outcome]:
        tips = await self.tips([item.scope for item in batch])
        await asyncio.sleep(0)
        return [
            (await super(ChecksThenActs, self).append([msgspec.structs.replace(item, after=now)]))[0]
            if item.after == tip
            else Outcome.CONFLICT
            for item, tip, now in zip(batch, tips, await self.tips([item.scope for item in batch]), strict=True)
        ]


class WritesRowsOfConflicts(MemoryDriver):
    async def append(self, batch: Sequence[Append]) -> Sequence[Outcome]:
        outcomes = await super().append(batch)
        for item, outcome in zip(batch, outcomes, strict=True):
            if outcome is Outcome.CONFLICT and (tip := (await self.tips([item.scope]))[0]) != EMPTY:
                user = self._store[item.scope]
                user.rows.update({(row.kind, row.row_id): row for row in item.puts})  # type: ignore[misc]
                assert user.tip == tip
        return outcomes


class TearsLoads(MemoryDriver):
    async def load(self, scope: Scope, kinds: Collection[RowKind]) -> Loaded:
        [tip] = await self.tips([scope])
        await asyncio.sleep(0)
        return Loaded(tip, (await super().load(scope, kinds)).rows)


class PagesByOffset(MemoryDriver):
    async def rows(self, page: PageOf) -> Sequence[Row]:
        whole = await super().rows(msgspec.structs.replace(page, after=None, before=None, limit=1 << 60))
        edge = page.before if page.descending else page.after
        start = next((n + 1 for n, row in enumerate(whole) if edge is not None and row.position == edge), 0)
        return whole[start : start + page.limit]


class FoldsCase(MemoryDriver):
    async def users(self, namespace: str, after: str, limit: int) -> Sequence[str]:
        found = await super().users(namespace, "", 1 << 60)
        return sorted((user for user in found if user.lower() > after.lower()), key=str.lower)[:limit]


class OrdersByUtf16(MemoryDriver):
    async def users(self, namespace: str, after: str, limit: int) -> Sequence[str]:
        def key(text: str) -> bytes:
            return text.encode("utf-16-be")

        found = await super().users(namespace, "", 1 << 60)
        return sorted((user for user in found if key(user) > key(after)), key=key)[:limit]


class NormalisesIds(MemoryDriver):
    async def append(self, batch: Sequence[Append]) -> Sequence[Outcome]:
        return await super().append([msgspec.structs.replace(item, scope=_folded(item.scope)) for item in batch])

    async def tips(self, scopes: Sequence[Scope]) -> Sequence[Tip]:
        return await super().tips([_folded(scope) for scope in scopes])


class JoinsKeysBySlash(MemoryDriver):
    async def append(self, batch: Sequence[Append]) -> Sequence[Outcome]:
        return await super().append([msgspec.structs.replace(item, scope=_joined(item.scope)) for item in batch])

    async def tips(self, scopes: Sequence[Scope]) -> Sequence[Tip]:
        return await super().tips([_joined(scope) for scope in scopes])

    async def load(self, scope: Scope, kinds: Collection[RowKind]) -> Loaded:
        return await super().load(_joined(scope), kinds)


class ReformatsBodies(MemoryDriver):
    async def records(self, scope: Scope, after: int, limit: int) -> Sequence[Record]:
        found = await super().records(scope, after, limit)
        return [msgspec.structs.replace(record, body=json.dumps(json.loads(record.body)).encode()) for record in found]


class KeepsPositionsAsDoubles(MemoryDriver):
    async def append(self, batch: Sequence[Append]) -> Sequence[Outcome]:
        return await super().append(
            [
                msgspec.structs.replace(
                    item, puts=[msgspec.structs.replace(row, position=int(float(row.position))) for row in item.puts]
                )
                for item in batch
            ]
        )


class MissesTheDueNow(MemoryDriver):
    async def due(self, before: int, limit: int) -> Sequence[Due]:
        return await super().due(before - 1, limit)


class ForgetsDueOnErase(MemoryDriver):
    async def append(self, batch: Sequence[Append]) -> Sequence[Outcome]:
        kept = {item.scope: self._store[item.scope].due for item in batch if item.scope in self._store}
        outcomes = await super().append(batch)
        for item, outcome in zip(batch, outcomes, strict=True):
            if item.erases and outcome is Outcome.APPENDED:
                self._store[item.scope].due = kept.get(item.scope, 0)
        return outcomes


class TruncatesTheNewest(MemoryDriver):
    async def truncate(self, scope: Scope, floor: int) -> None:
        user = self._store.get(scope)
        if user and floor > user.tip.seq:
            user.records.clear()
            user.floor = floor
        else:
            await super().truncate(scope, floor)


class HidesTheFloor(MemoryDriver):
    async def records(self, scope: Scope, after: int, limit: int) -> Sequence[Record]:
        try:
            return await super().records(scope, after, limit)
        except TruncatedJournal as truncated:
            return await super().records(scope, truncated.first - 1, limit)


class InsertsWhereARecordIsMissing(MemoryDriver):
    """As a database does whose compare-and-set is the insert of a key, once the key was deleted."""

    async def append(self, batch: Sequence[Append]) -> Sequence[Outcome]:
        outcomes = list(await super().append(batch))
        for number, item in enumerate(batch):
            user = self._store.get(item.scope)
            if user and item.after.seq + 1 not in user.records and item.after.seq < user.tip.seq:
                user.records.update((record.seq, record) for record in item.records)
                outcomes[number] = Outcome.APPENDED
        return outcomes


class ErasesRequests(MemoryDriver):
    async def append(self, batch: Sequence[Append]) -> Sequence[Outcome]:
        outcomes = await super().append(batch)
        for item, outcome in zip(batch, outcomes, strict=True):
            if item.erases and outcome is Outcome.APPENDED:
                user = self._store[item.scope]
                user.rows = {key: row for key, row in user.rows.items() if row in item.puts}
        return outcomes


class ListsTheErased(MemoryDriver):
    async def users(self, namespace: str, after: str, limit: int) -> Sequence[str]:
        for user in self._store.values():
            user.erased = False
        return await super().users(namespace, after, limit)


class RemembersTips(MemoryDriver):
    def __init__(self, url: str, options: Mapping[str, str]) -> None:
        super().__init__(url, options)
        self._known: dict[Scope, Tip] = {}

    async def append(self, batch: Sequence[Append]) -> Sequence[Outcome]:
        outcomes = await super().append(batch)
        self._known.update(zip([i.scope for i in batch], await super().tips([i.scope for i in batch]), strict=True))
        return outcomes

    async def tips(self, scopes: Sequence[Scope]) -> Sequence[Tip]:
        fresh = await super().tips(scopes)
        return [self._known.setdefault(scope, tip) for scope, tip in zip(scopes, fresh, strict=True)]


class WorksWhenClosed(MemoryDriver):
    async def close(self) -> None:
        pass


class DropsWhatWasHandedOver(MemoryDriver):
    async def append(self, batch: Sequence[Append]) -> Sequence[Outcome]:
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return await super().append(batch)


class AppliesRecordsBeforeRows(MemoryDriver):
    """So a caller that goes away in between leaves half an item."""

    async def append(self, batch: Sequence[Append]) -> Sequence[Outcome]:
        outcomes = await super().append([msgspec.structs.replace(item, puts=(), deletes=()) for item in batch])
        await asyncio.sleep(0)
        self._users()
        for item, outcome in zip(batch, outcomes, strict=True):
            if outcome is Outcome.APPENDED:
                self._store[item.scope].rows.update({(row.kind, row.row_id): row for row in item.puts})  # type: ignore[misc]
        return outcomes


class RedactsWhateverIsThere(MemoryDriver):
    async def redact(self, scope: Scope, redactions: Sequence[Redaction]) -> Collection[int]:
        read = {record.seq: record.body for record in self._user(scope).records.values()}
        found = [each for each in redactions if each.seq in read]
        return await super().redact(scope, [Redaction(each.seq, read[each.seq], each.new) for each in found])


class LooksThenRedacts(MemoryDriver):
    async def redact(self, scope: Scope, redactions: Sequence[Redaction]) -> Collection[int]:
        records = self._user(scope).records
        known = [each for each in redactions if each.seq in records and records[each.seq].body == each.old]
        await asyncio.sleep(0)
        for each in known:
            records[each.seq] = msgspec.structs.replace(records[each.seq], body=each.new)
        return [each.seq for each in known]


class RefusesLate(MemoryDriver):
    async def ping(self) -> None:
        raise StorageUnavailable("not today")


BROKEN = (
    (ComparesSeqsOnly, "test_the_nonce_of_the_tip_must_match"),
    (ComparesSeqsOnly, "test_a_tip_reused_after_restore_is_not_taken_for_fresh"),
    (FailsTheWholeBatch, "test_a_conflict_fails_alone"),
    (ChecksThenActs, "test_of_sixteen_appends_at_one_tip_one_wins"),
    (ChecksThenActs, "test_groups_over_the_same_users_never_deadlock_or_starve"),
    (ChecksThenActs, "test_two_drivers_append_to_one_user"),
    (WritesRowsOfConflicts, "test_an_item_is_applied_whole_or_not_at_all"),
    (AppliesRecordsBeforeRows, "test_a_cancelled_append_is_whole_or_absent"),
    (TearsLoads, "test_a_load_during_appends_is_never_torn"),
    (PagesByOffset, "test_a_page_goes_on_where_its_edge_is_gone"),
    (FoldsCase, "test_users_are_told_apart_and_listed_by_bytes"),
    (OrdersByUtf16, "test_users_are_told_apart_and_listed_by_bytes"),
    (NormalisesIds, "test_users_are_told_apart_and_listed_by_bytes"),
    (JoinsKeysBySlash, "test_namespace_and_user_never_run_together"),
    (ReformatsBodies, "test_bodies_come_back_byte_for_byte"),
    (KeepsPositionsAsDoubles, "test_positions_are_exact"),
    (MissesTheDueNow, "test_due_users_come_earliest_first"),
    (ForgetsDueOnErase, "test_an_erase_says_what_is_due"),
    (TruncatesTheNewest, "test_truncate_keeps_the_newest_record"),
    (HidesTheFloor, "test_records_below_the_floor_are_refused"),
    (InsertsWhereARecordIsMissing, "test_a_stale_writer_cannot_append_below_the_floor"),
    (InsertsWhereARecordIsMissing, "test_a_stale_writer_cannot_append_after_an_erase"),
    (ErasesRequests, "test_an_erase_leaves_only_requests"),
    (ListsTheErased, "test_an_erased_user_is_not_listed"),
    (RemembersTips, "test_tips_see_every_acknowledged_append"),
    (WorksWhenClosed, "test_use_after_close"),
    (DropsWhatWasHandedOver, "test_close_finishes_what_was_handed_over"),
    (RedactsWhateverIsThere, "test_a_record_that_says_something_else_is_not_redacted"),
    (RedactsWhateverIsThere, "test_of_two_redactions_of_one_record_one_wins"),
    (LooksThenRedacts, "test_of_two_redactions_of_one_record_one_wins"),
    (RefusesLate, "test_ping_answers"),
)


@pytest.mark.parametrize(
    ("broken", "name"), [pytest.param(*pair, id=f"{pair[0].__name__}-{pair[1]}") for pair in BROKEN]
)
async def test_the_suite_finds(broken: type[MemoryDriver], name: str) -> None:
    assert await verdict_on(broken, name) is Verdict.FAILED


def _folded(scope: Scope) -> Scope:
    return Scope(scope.namespace, unicodedata.normalize("NFC", scope.user_id))


def _joined(scope: Scope) -> Scope:
    return Scope("", f"{scope.namespace}/{scope.user_id}")
