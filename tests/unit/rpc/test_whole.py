from __future__ import annotations

import asyncio

import pytest

from memsvc.rpc.whole import Whole


async def test_what_is_awaited_answers_or_fails() -> None:
    async def answer() -> int:
        await asyncio.sleep(0)
        await asyncio.sleep(0.001)
        return 7

    async def failure() -> None:
        await asyncio.sleep(0.001)
        raise KeyError("no")

    assert await Whole(answer()) == 7
    with pytest.raises(KeyError):
        await Whole(failure())


async def test_a_cancelled_caller_goes_at_once_and_the_operation_ends_by_itself() -> None:
    message: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
    freed = asyncio.Event()

    async def operation() -> None:
        await message
        freed.set()

    caller = asyncio.create_task(_awaiting(operation()))
    await asyncio.sleep(0)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    assert not message.cancelled()
    message.set_result(b"what came too late")
    await asyncio.wait_for(freed.wait(), 10)


async def _awaiting(operation: object) -> None:
    await Whole(operation)  # type: ignore[type-var]
