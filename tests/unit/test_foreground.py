import asyncio
from collections.abc import Callable

import pytest

from memsvc import foreground as module
from memsvc.foreground import Foreground

Rests = list[float]


@pytest.fixture
def rests(monkeypatch: pytest.MonkeyPatch) -> Rests:
    """How long was rested, in order; nothing of it takes time."""
    rested: Rests = []
    sleep = asyncio.sleep

    async def rest(seconds: float) -> None:
        rested.append(seconds)
        await sleep(0)

    monkeypatch.setattr(module.asyncio, "sleep", rest)
    return rested


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    now = 1_000.0

    def advance(seconds: float) -> None:
        nonlocal now
        now += seconds

    monkeypatch.setattr(module.time, "monotonic", lambda: now)
    return advance


async def test_background_rests_for_a_moment_when_nobody_waits(rests: Rests) -> None:
    await Foreground().give_way(0.001)

    assert rests == [0]


async def test_background_rests_longer_than_it_worked_while_a_call_is_under_way(rests: Rests) -> None:
    foreground = Foreground()
    foreground.enter()

    await foreground.give_way(0.001)

    assert rests == [0, 0.002]


async def test_background_rests_for_who_was_just_answered_but_not_for_long(
    rests: Rests, clock: Callable[[float], None]
) -> None:
    foreground = Foreground()
    foreground.enter()
    foreground.leave()

    await foreground.give_way(0.001)
    clock(1.0)
    await foreground.give_way(0.001)

    assert rests == [0, 0.002, 0]


async def test_of_many_in_the_background_one_works_at_a_time_and_gives_way_before_the_next(
    rests: Rests, clock: Callable[[float], None]
) -> None:
    foreground = Foreground()
    foreground.enter()
    worked: list[int] = []

    async def work(number: int) -> None:
        async with foreground.background():
            assert len(rests) == 2 * number
            worked.append(number)
            clock(0.005)

    await asyncio.gather(*(work(number) for number in range(3)))

    assert worked == [0, 1, 2]
    assert rests == [0, pytest.approx(0.01)] * 3
