from __future__ import annotations

import asyncio

import pytest

from memsvc.rpc.fair_queue import FairQueue


def given(queue: FairQueue, places: dict[str, asyncio.Future[None]], but: frozenset[str] = frozenset()) -> str:
    """Give a place away; return who has it."""
    before = {name for name, place in places.items() if place.done()}
    queue.give_place(but)
    return "".join(name for name, place in places.items() if place.done() and name not in before)


async def test_lines_have_their_turn_one_after_the_other_and_of_each_the_last_one_first() -> None:
    queue = FairQueue()
    places = {name: queue.join(name[0], 0.0) for name in ("a1", "a2", "a3", "b1", "c1", "c2")}

    assert [given(queue, places) for _ in range(7)] == ["a3", "b1", "c2", "a2", "c1", "a1", ""]


async def test_lines_can_be_passed_over_and_keep_their_turn() -> None:
    queue = FairQueue()
    places = {name: queue.join(name[0], 0.0) for name in ("a1", "b1", "b2")}

    but = frozenset("a")
    assert [given(queue, places, but) for _ in range(3)] == ["b2", "b1", ""]
    assert given(queue, places) == "a1"


async def test_whoever_went_gets_no_place() -> None:
    queue = FairQueue()
    places = {name: queue.join(name[0], 0.0) for name in ("a1", "a2", "b1", "c1")}
    for name in ("a2", "b1"):
        places[name].cancel()

    assert [given(queue, places) for _ in range(3)] == ["a1", "c1", ""]
    assert queue.oldest_since() is None


async def test_the_one_that_has_waited_longest_is_refused() -> None:
    queue = FairQueue()
    places = [queue.join("ab"[since % 2], float(since)) for since in range(3)]
    places[0].cancel()

    assert queue.oldest_since() == 1.0
    queue.refuse_oldest(RuntimeError("full"))
    with pytest.raises(RuntimeError, match="full"):
        await places[1]
    assert queue.oldest_since() == 2.0
