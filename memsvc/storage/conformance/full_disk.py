"""A full disk: what was acknowledged is there, and what was not is whole or absent."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from memsvc.errors import StorageUnavailable
from memsvc.model import Scope
from memsvc.storage.conformance.items import Journal, item, tip_of
from memsvc.storage.conformance.store import Store
from memsvc.storage.driver import EMPTY, Append, Driver, Outcome


async def test_a_full_disk_inside_a_group_acknowledges_nothing_lost(store: Store) -> None:
    """append: MUST answer UNKNOWN, or raise StorageUnavailable for all, when the database failed; never APPENDED."""
    async with store.scratch() as place:
        driver = store.bench.cramped(place).connect()
        await driver.open()
        try:
            fates = await _append_until_full(driver)
            await _check_fates(driver, fates)
        finally:
            await driver.close()
        roomy = place.connect()
        await roomy.open()
        try:
            await _check_fates(roomy, fates)
            await Journal(roomy, Scope(store.namespace, "afterwards")).append()
        finally:
            await roomy.close()


async def _append_until_full(driver: Driver) -> list[tuple[Append, Outcome]]:
    """Append in groups of small and large items until no large one has found room in two of them."""
    fates: list[tuple[Append, Outcome]] = []
    full = 0
    while full < 2:
        group = [
            item(Scope("full", f"user-{len(fates) + number}"), EMPTY, [b"x" * (200_000 if number % 2 else 10)])
            for number in range(16)
        ]
        replies = await asyncio.gather(*(driver.append([one]) for one in group), return_exceptions=True)
        outcomes = [_outcome_in(reply) for reply in replies]
        fates += zip(group, outcomes, strict=True)
        full += Outcome.APPENDED not in outcomes[1::2]
        assert len(fates) < 10_000, "the database is not cramped"
    return fates


def _outcome_in(reply: Sequence[Outcome] | BaseException) -> Outcome:
    if isinstance(reply, StorageUnavailable):
        return Outcome.UNKNOWN
    assert not isinstance(reply, BaseException), reply
    [outcome] = reply
    assert outcome in (Outcome.APPENDED, Outcome.UNKNOWN)
    return outcome


async def _check_fates(driver: Driver, fates: Sequence[tuple[Append, Outcome]]) -> None:
    tips = await driver.tips([appended.scope for appended, _ in fates])
    for (appended, outcome), tip in zip(fates, tips, strict=True):
        assert tip in ((tip_of(appended),) if outcome is Outcome.APPENDED else (tip_of(appended), EMPTY))
        kept = await driver.records(appended.scope, 0, 10)
        assert list(kept) == (list(appended.records) if tip != EMPTY else [])
