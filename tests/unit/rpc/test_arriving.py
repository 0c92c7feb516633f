"""Requests on their way in, with calls whose requests come when the test says so."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from memsvc.errors import Reason, Unavailable
from memsvc.rpc import arriving
from memsvc.rpc import intake as intake_module
from memsvc.rpc.arriving import LARGE_BYTES, PROMPT, Arrivals
from memsvc.rpc.intake import Intake
from memsvc.rpc.room import Room

LARGEST = 100_000


class Call:
    """A call whose request is sent by `sent.set_result`."""

    def __init__(self, peer: str = "unix:", *, writes: bool = True) -> None:
        self.writes = writes
        self._peer = peer
        self.asked = asyncio.Event()
        self.sent: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def peer(self) -> str:
        return self._peer

    async def read(self) -> bytes:
        self.asked.set()
        return await self.sent


def reading(arrivals: Arrivals, count: int) -> tuple[list[Call], list[asyncio.Task[bytes | None]]]:
    calls = [Call() for _ in range(count)]
    return calls, [asyncio.create_task(read(arrivals, call)) for call in calls]


async def read(arrivals: Arrivals, call: Call) -> bytes | None:
    task = asyncio.current_task()
    assert task is not None
    return await arrivals.read(call, task, writes=call.writes)  # type: ignore[arg-type]


async def refused(task: asyncio.Task[Any]) -> None:
    with pytest.raises(Unavailable) as error:
        await asyncio.wait_for(task, 10)
    assert error.value.reason is Reason.TOO_MANY_CALLS
    assert error.value.retry_after_seconds > 0


async def test_only_a_few_are_asked_for_at_once() -> None:
    arrivals = Arrivals(Room(LARGEST), Intake(), LARGEST, 60)
    calls, tasks = reading(arrivals, PROMPT + 5)
    await asyncio.sleep(0)
    asked = [call for call in calls if call.asked.is_set()]
    assert len(asked) == PROMPT
    for call in calls:
        call.sent.set_result(b"request")
    assert await asyncio.gather(*tasks) == [b"request"] * len(calls)


async def test_slow_ones_take_no_more_than_the_room_and_no_place_from_others() -> None:
    room = Room(3 * LARGEST)
    arrivals = Arrivals(room, Intake(), LARGEST, 60)
    slow, tasks = reading(arrivals, PROMPT)
    while room.held_bytes < 3 * LARGEST:
        await asyncio.sleep(0.001)
    # The others keep their places for as long as nobody waits for one.
    await asyncio.sleep(0.1)
    assert not any(task.done() for task in tasks)

    # Now others do; whoever keeps them waiting is refused, and what comes at once is answered.
    more, waiting = reading(arrivals, PROMPT)
    prompt, (asking,) = reading(arrivals, 1)
    prompt[0].sent.set_result(b"small")
    assert await asyncio.wait_for(asking, 10) == b"small"
    assert room.held_bytes == 3 * LARGEST
    slow, tasks = slow + more, tasks + waiting
    for call in slow:
        call.sent.set_result(b"large")
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    refusals = [outcome for outcome in outcomes if isinstance(outcome, Unavailable)]
    assert outcomes.count(b"large") == len(tasks) - len(refusals)
    assert 1 <= len(refusals) <= len(tasks) - 3
    assert {refusal.reason for refusal in refusals} == {Reason.TOO_MANY_CALLS}
    assert room.held_bytes == 0


async def test_who_is_slow_for_long_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arriving, "_PATIENCE_SECONDS", 0.0)
    room = Room(LARGEST)
    arrivals = Arrivals(room, Intake(), LARGEST, 60)
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
    _, tasks = reading(Arrivals(room, Intake(), LARGEST, 0.02), 2)
    for task in tasks:
        await refused(task)
    assert room.held_bytes == 0


async def test_whoever_goes_takes_nothing_along() -> None:
    room = Room(LARGEST)
    arrivals = Arrivals(room, Intake(), LARGEST, 60)
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


async def read_and_go_on(arrivals: Arrivals, call: Call, answered: asyncio.Event) -> bytes | None:
    request = await read(arrivals, call)
    await answered.wait()
    return request


async def test_while_there_are_large_ones_whoever_comes_is_heard_before_those_that_wait(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(intake_module, "_LONGEST_SECONDS", 60.0)
    monkeypatch.setattr(intake_module, "_MOST_CALLS", 1_000_000)
    intake, answered = Intake(), asyncio.Event()
    arrivals = Arrivals(Room(LARGEST), intake, LARGEST, 60)
    crowd = [Call() for _ in range(3 * PROMPT)]
    tasks = [asyncio.create_task(read_and_go_on(arrivals, call, answered)) for call in crowd]
    await asyncio.sleep(0)
    for call in crowd[:PROMPT]:
        call.sent.set_result(bytes(LARGE_BYTES + 1))
    for _ in range(50):
        for _ in range(100):
            intake.call_came()
        await asyncio.sleep(0.001)
    (newest,), (task,) = reading(arrivals, 1)
    await asyncio.sleep(0)
    assert not any(call.asked.is_set() for call in (newest, *crowd[PROMPT:]))

    await asyncio.wait_for(newest.asked.wait(), 10)
    assert sum(call.asked.is_set() for call in crowd) < 2 * PROMPT
    newest.sent.set_result(b"small")
    assert await asyncio.wait_for(task, 10) == b"small"
    for each in tasks:
        each.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@pytest.mark.parametrize("other", [{"writes": False}, {"peer": "ipv4:10.0.0.7:5001"}], ids=["reads", "peer"])
@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
async def test_whoever_is_not_in_a_crowd_does_not_wait_for_it(
    monkeypatch: pytest.MonkeyPatch, other: dict[str, Any], before: bool
) -> None:
    # Neither for places nor, where the crowd's requests are large, while these rest.
    monkeypatch.setattr(intake_module, "_LONGEST_SECONDS", 60.0)
    monkeypatch.setattr(intake_module, "_MOST_CALLS", 1_000_000)
    intake, answered, served = Intake(), asyncio.Event(), Call(**other)
    arrivals = Arrivals(Room(LARGEST), intake, LARGEST, 60)
    crowd = [Call() for _ in range(9 * PROMPT)]
    tasks = [asyncio.create_task(read_and_go_on(arrivals, call, answered)) for call in crowd[:PROMPT]]
    await asyncio.sleep(0)
    served_task = asyncio.create_task(read(arrivals, served)) if before else None
    await asyncio.sleep(0)
    tasks += [asyncio.create_task(read_and_go_on(arrivals, call, answered)) for call in crowd[PROMPT:]]
    await asyncio.sleep(0)
    served_task = served_task or asyncio.create_task(read(arrivals, served))
    served.sent.set_result(b"small")
    for call in crowd[:PROMPT]:
        call.sent.set_result(bytes(LARGE_BYTES + 1))
    async with asyncio.timeout(10):
        while not served_task.done():
            intake.call_came()
            await asyncio.sleep(0)

    assert await served_task == b"small"
    assert not any(call.asked.is_set() for call in crowd[PROMPT + 1 :])
    for each in tasks:
        each.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_who_waited_too_long_is_refused_and_others_go_on_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arriving, "_PATIENCE_SECONDS", 0.0)
    arrivals = Arrivals(Room(LARGEST), Intake(), LARGEST, 60)
    _, tasks = reading(arrivals, 100)
    most = before = 0
    async with asyncio.timeout(10):
        while before < 100 - PROMPT:
            await asyncio.sleep(0)
            done = sum(task.done() for task in tasks)
            most, before = max(most, done - before), done
    # Those that are asked for may be refused at the same look, as they are slow.
    assert most <= PROMPT + arriving._REFUSALS
    for task in filter(asyncio.Task.done, tasks):
        await refused(task)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
