from __future__ import annotations

import asyncio

import pytest

from memsvc.foreground import Foreground
from memsvc.rpc import intake as intake_module
from memsvc.rpc.admission import Admission
from memsvc.rpc.intake import _MOST_CALLS, FEW_LARGE, Intake

SECONDS = 20.0


async def test_calls_that_come_now_and_then_are_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake_module, "_LONGEST_SECONDS", SECONDS)
    monkeypatch.setattr(intake_module, "_MOST_CALLS", 1_000_000)
    intake, waiting = Intake(), asyncio.Event()
    intake.after(waiting.set)
    calls = 0
    while not waiting.is_set():
        intake.call_came()
        calls += 1
        await asyncio.sleep(0.008)

    assert calls < 50


async def test_calls_that_come_all_the_time_are_waited_for_until_some_were_heard(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(intake_module, "_LONGEST_SECONDS", 3 * SECONDS)
    intake, calls = Intake(), 0
    for _ in range(3):
        waiting = asyncio.Event()
        intake.after(waiting.set)
        heard = calls
        async with asyncio.timeout(SECONDS):
            while not waiting.is_set():
                # So fast that they are not rare, on a machine that others use as well.
                for _ in range(_MOST_CALLS // 2):
                    intake.call_came()
                    calls += 1
                await asyncio.sleep(0)
        assert calls - heard >= _MOST_CALLS


async def test_nobody_waits_for_long_where_calls_come_slowly_but_are_not_rare(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake_module, "_RARE_SECONDS", SECONDS)
    monkeypatch.setattr(intake_module, "_MOST_CALLS", 1_000_000)
    intake, waiting = Intake(), asyncio.Event()
    intake.after(waiting.set)
    async with asyncio.timeout(SECONDS):
        while not waiting.is_set():
            intake.call_came()
            await asyncio.sleep(0)


async def test_a_few_large_requests_are_no_crowd_nor_are_those_whose_calls_wait_for_something_else() -> None:
    admitting = Admission(Foreground(), max_calls=9, max_bytes=1_000, largest_bytes=100, slowest_seconds=SECONDS)
    intake, over = admitting._intake, asyncio.Event()
    tasks = [asyncio.create_task(over.wait()) for _ in range(FEW_LARGE + 3)]
    for task in tasks[:FEW_LARGE]:
        intake.large_came(task)
    few = intake.many_large
    for task in tasks[FEW_LARGE:]:
        intake.large_came(task)
    many = intake.many_large
    admitting.room.let_go(tasks[0])
    admitting.room.hold_only(tasks[1], 10)
    over.set()
    await tasks[2]

    assert (few, many, intake.many_large) == (False, True, False)
    await asyncio.gather(*tasks)
