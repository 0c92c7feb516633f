from __future__ import annotations

import asyncio
import threading
import time

import pytest

from memsvc.rpc.overdue import Call, Overdue
from memsvc.waits import current_waits


async def ended(overdue: Overdue, seconds: float, answer: asyncio.Future[str], *, database: bool) -> Call | str:
    """Wait for an answer; return it, or how the call was ended."""
    call = overdue.add(seconds)
    try:
        if not database:
            return await answer
        with current_waits():
            return await answer
    except asyncio.CancelledError:
        if overdue.ended(call):
            return call
        raise
    finally:
        overdue.remove(call)


@pytest.mark.parametrize("database", [False, True])
async def test_a_call_is_ended_and_knows_whether_it_waited_for_the_database(database: bool) -> None:
    answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    call = await ended(Overdue(), 0.05, answer, database=database)
    assert isinstance(call, Call)
    assert call.waited_for_database is database


async def test_who_waited_for_the_database_before_is_not_told_that_it_was_away() -> None:
    overdue, loop = Overdue(), asyncio.get_running_loop()

    async def first_the_database_then_computing() -> Call | str:
        call = overdue.add(0.05)
        with current_waits():
            await asyncio.sleep(0)
        try:
            await loop.create_future()
        except asyncio.CancelledError:
            assert overdue.ended(call)
        return call

    call = await first_the_database_then_computing()
    assert isinstance(call, Call)
    assert not call.waited_for_database


async def test_an_answer_that_came_while_the_event_loop_stood_still_is_heard() -> None:
    """What one call computes without a pause is not taken from the time of the others."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[str] = loop.create_future()
    waiting = asyncio.create_task(ended(Overdue(), 0.1, answer, database=True))
    await asyncio.sleep(0)
    answering = threading.Timer(0.05, lambda: loop.call_soon_threadsafe(answer.set_result, "here"))
    answering.start()
    time.sleep(0.4)
    assert await waiting == "here"
    answering.join()


async def test_a_call_that_somebody_else_cancels_is_not_taken_for_overdue() -> None:
    answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    waiting = asyncio.create_task(ended(Overdue(), 30, answer, database=True))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
