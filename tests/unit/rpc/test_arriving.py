"""Requests on their way in, with calls whose requests come when the test says so."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from memsvc.errors import Reason, Unavailable
from memsvc.rpc import arriving
from memsvc.rpc.arriving import PROMPT, Arrivals
from memsvc.rpc.room import Room

LARGEST = 100


class Call:
    """A call whose request is sent by `sent.set_result`."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.sent: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def read(self) -> bytes:
        self.asked.set()
        return await self.sent


def reading(arrivals: Arrivals, count: int) -> tuple[list[Call], list[asyncio.Task[bytes | None]]]:
    calls = [Call() for _ in range(count)]
    tasks = [asyncio.create_task(arrivals.read(call)) for call in calls]  # type: ignore[arg-type]
    return calls, tasks


async def refused(task: asyncio.Task[Any]) -> None:
    with pytest.raises(Unavailable) as error:
        await asyncio.wait_for(task, 10)
    assert error.value.reason is Reason.TOO_MANY_CALLS
    assert error.value.retry_after_seconds > 0


async def test_only_a_few_are_asked_for_at_once() -> None:
    arrivals = Arrivals(Room(LARGEST), LARGEST, 60)
    calls, tasks = reading(arrivals, PROMPT + 5)
    await asyncio.sleep(0)
    asked = [call for call in calls if call.asked.is_set()]
    assert len(asked) == PROMPT
    for call in calls:
        call.sent.set_result(b"request")
    assert await asyncio.gather(*tasks) == [b"request"] * len(calls)


async def test_slow_ones_take_no_more_than_the_room_and_others_go_on() -> None:
    room = Room(3 * LARGEST)
    arrivals = Arrivals(room, LARGEST, 60)
    slow, tasks = reading(arrivals, PROMPT)
    done, pending = await asyncio.wait(tasks, timeout=10, return_when=asyncio.FIRST_COMPLETED)
    while len(pending) > 3:
        more, pending = await asyncio.wait(pending, timeout=10, return_when=asyncio.FIRST_COMPLETED)
        done |= more
    for task in done:
        await refused(task)
    assert room.held_bytes == 3 * LARGEST

    prompt, asking = reading(arrivals, 2)
    await prompt[0].asked.wait()
    for call in prompt:
        call.sent.set_result(b"small")
    assert await asyncio.gather(*asking) == [b"small"] * 2
    for call in slow:
        if not call.sent.done():
            call.sent.set_result(b"large")
    assert await asyncio.gather(*pending) == [b"large"] * 3
    assert room.held_bytes == 0


async def test_who_is_slow_for_long_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arriving, "_PATIENCE_SECONDS", 0.0)
    room = Room(LARGEST)
    arrivals = Arrivals(room, LARGEST, 60)
    _, (first,) = reading(arrivals, 1)
    while room.held_bytes < LARGEST:
        await asyncio.sleep(0.001)
    reply = asyncio.create_task(asyncio.sleep(60))
    room.hold(reply, LARGEST)
    await refused(first)
    assert room.held_bytes == LARGEST
    room.let_go(reply)
    reply.cancel()


async def test_none_is_waited_for_without_end() -> None:
    room = Room(LARGEST)
    _, tasks = reading(Arrivals(room, LARGEST, 0.02), 2)
    for task in tasks:
        await refused(task)
    assert room.held_bytes == 0


async def test_whoever_goes_takes_nothing_along() -> None:
    room = Room(LARGEST)
    arrivals = Arrivals(room, LARGEST, 60)
    calls, tasks = reading(arrivals, PROMPT + 3)
    await asyncio.sleep(0)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    # What gRPC was asked for is waited for all the same: otherwise it would keep the message.
    assert not any(call.sent.cancelled() for call in calls)
    late, (task,) = reading(arrivals, 1)
    late[0].sent.set_result(b"request")
    assert await task == b"request"
    assert room.held_bytes == 0
