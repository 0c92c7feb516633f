from __future__ import annotations

import asyncio
import time

from memsvc.rpc.turns import ROUND_SECONDS, Turns


def work(seconds: float) -> None:
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        pass


async def call(turns: Turns, seconds: float) -> None:
    if not turns.free():
        await turns.mine()
    work(seconds)


async def test_few_calls_go_on_at_once() -> None:
    turns = Turns()
    assert turns.free()
    assert turns.free()
    await asyncio.sleep(0)
    assert turns.free()


async def test_whoever_comes_into_a_crowd_is_served_before_it_is_gone() -> None:
    turns = Turns()
    crowd = [asyncio.create_task(call(turns, ROUND_SECONDS)) for _ in range(50)]
    await asyncio.sleep(0)
    await call(turns, 0)
    served = sum(task.done() for task in crowd)
    await asyncio.gather(*crowd)

    assert served < 10


async def test_all_of_a_crowd_are_served_and_who_went_costs_no_turn() -> None:
    turns = Turns()
    crowd = [asyncio.create_task(call(turns, 0.0005)) for _ in range(500)]
    await asyncio.sleep(0)
    for task in crowd[::2]:
        task.cancel()
    await asyncio.gather(*crowd, return_exceptions=True)
    await asyncio.wait_for(call(turns, 0), 10)

    assert not any(task.cancelled() for task in crowd[1::2])
    assert turns.free()
