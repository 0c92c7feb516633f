from __future__ import annotations

import asyncio
import time

from memsvc.foreground import Foreground
from memsvc.rpc.admission import Admission
from memsvc.rpc.intake import _MOST_IN_VAIN, FEW_LARGE, Intake

SECONDS = 20.0


async def flooded(intake: Intake) -> float:
    """Wait while calls come fast, also on a machine that others use; return how long, in seconds."""
    waiting = asyncio.Event()
    since = time.monotonic()
    intake.after(waiting.set)
    while not waiting.is_set():
        for _ in range(100):
            intake.call_came()
        until = time.thread_time() + 0.0005
        while time.thread_time() < until:
            pass
        await asyncio.sleep(0)
    return time.monotonic() - since


async def test_calls_that_come_now_and_then_are_not_waited_for() -> None:
    intake, waiting = Intake(), asyncio.Event()
    intake.after(waiting.set)
    calls = 0
    while not waiting.is_set():
        intake.call_came()
        calls += 1
        await asyncio.sleep(0.008)

    assert calls < 50


async def test_calls_that_come_all_the_time_are_waited_for_a_few_times_and_then_no_more() -> None:
    intake = Intake()
    waits = [await flooded(intake) for _ in range(_MOST_IN_VAIN + 1)]

    assert min(waits[:-1]) > 0.09
    assert waits[-1] < min(waits[:-1])
    quiet, rounds = asyncio.Event(), 0
    intake.after(quiet.set)
    while not quiet.is_set():
        rounds += 1
        await asyncio.sleep(0)
    assert rounds == 1


async def test_a_crowd_that_is_over_is_waited_for_however_often_there_is_one() -> None:
    intake = Intake()
    for _ in range(2 * _MOST_IN_VAIN):
        await flooded(intake)
        waiting, since = asyncio.Event(), time.monotonic()
        intake.after(waiting.set)
        async with asyncio.timeout(SECONDS):
            await waiting.wait()
        assert time.monotonic() - since >= 0.009


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
