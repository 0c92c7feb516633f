from __future__ import annotations

import asyncio
import time

import pytest

from memsvc.rpc import intake as intake_module
from memsvc.rpc.intake import FEW_LARGE, Intake
from memsvc.rpc.turns import FEW, ROUND_SECONDS, Turns


def work(seconds: float) -> None:
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        pass


async def call(turns: Turns, seconds: float) -> None:
    if not turns.free():
        await turns.mine()
    work(seconds)


async def test_few_calls_go_on_at_once() -> None:
    turns = Turns(Intake())
    assert turns.free()
    assert turns.free()
    await asyncio.sleep(0)
    assert turns.free()


async def test_a_few_that_wait_are_served_in_the_order_in_which_they_came() -> None:
    turns, served = Turns(Intake()), list[int]()

    async def waiting(number: int) -> None:
        await turns.mine()
        work(ROUND_SECONDS)
        served.append(number)

    await asyncio.gather(*map(waiting, range(FEW)))

    assert served == list(range(FEW))


async def test_whoever_comes_into_a_crowd_is_served_before_it_is_gone() -> None:
    turns = Turns(Intake())
    crowd = [asyncio.create_task(call(turns, ROUND_SECONDS)) for _ in range(50)]
    await asyncio.sleep(0)
    await call(turns, 0)
    served = sum(task.done() for task in crowd)
    await asyncio.gather(*crowd)

    assert served < 10


async def test_all_of_a_crowd_are_served_and_who_went_costs_no_turn() -> None:
    turns = Turns(Intake())
    crowd = [asyncio.create_task(call(turns, 0.0005)) for _ in range(500)]
    await asyncio.sleep(0)
    for task in crowd[::2]:
        task.cancel()
    await asyncio.gather(*crowd, return_exceptions=True)
    await asyncio.wait_for(call(turns, 0), 10)

    assert not any(task.cancelled() for task in crowd[1::2])
    assert turns.free()


async def test_large_ones_have_their_turn_one_by_one_and_only_once_no_more_calls_come(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(intake_module, "_LONGEST_SECONDS", 60.0)
    monkeypatch.setattr(intake_module, "_MOST_CALLS", 1_000_000)
    intake = Intake()
    turns = Turns(intake)
    large = [asyncio.create_task(turns.large()) for _ in range(FEW_LARGE + 1)]
    for task in large:
        intake.large_came(task)
    for _ in range(50):
        for _ in range(100):
            intake.call_came()
        await asyncio.sleep(0.001)
        assert not any(task.done() for task in large)
    for served in range(1, len(large) + 1):
        await asyncio.wait([task for task in large if not task.done()], return_when=asyncio.FIRST_COMPLETED)
        assert sum(task.done() for task in large) == served


async def test_a_large_one_is_served_though_calls_keep_coming() -> None:
    intake = Intake()
    turns = Turns(intake)
    large = [asyncio.create_task(turns.large()) for _ in range(FEW_LARGE + 1)]
    for task in large:
        intake.large_came(task)
    async with asyncio.timeout(10):
        while not all(task.done() for task in large):
            intake.call_came()
            work(0.001)
            await asyncio.sleep(0)
