from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable
from typing import TypeVar

import pytest

from memsvc.rpc.whole import begin_stream, whole

T = TypeVar("T")


async def test_what_is_awaited_answers_or_fails() -> None:
    async def answer() -> int:
        await asyncio.sleep(0)
        await asyncio.sleep(0.001)
        return 7

    async def failure() -> None:
        await asyncio.sleep(0.001)
        raise KeyError("no")

    assert await whole(answer()) == 7
    with pytest.raises(KeyError):
        await whole(failure())


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


async def test_what_the_operation_waits_for_is_the_operations_to_mend() -> None:
    message: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def operation() -> str:
        try:
            await message
        except KeyError:
            await asyncio.sleep(0)
            return "mended"
        return "not asked"

    caller = asyncio.create_task(_awaiting(operation()))
    await asyncio.sleep(0)
    message.set_exception(KeyError("no"))
    assert await caller == "mended"


async def test_who_is_cancelled_as_the_answer_comes_goes_and_the_operation_has_ended() -> None:
    message: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
    freed = asyncio.Event()

    async def operation() -> None:
        await message
        freed.set()

    caller = asyncio.create_task(_awaiting(operation()))
    await asyncio.sleep(0)
    message.set_result(b"just in time")
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    await asyncio.wait_for(freed.wait(), 10)


class Beginning:
    """A stream whose head is on its way until `head` is done."""

    def __init__(self) -> None:
        self.head: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.is_sent = False

    async def send_initial_metadata(self, _: object) -> None:
        await self.head
        self.is_sent = True


@pytest.mark.parametrize("times", [1, 2, 5])
async def test_who_is_cancelled_while_a_stream_begins_ends_once_it_has_begun(times: int) -> None:
    stream = Beginning()
    beginning = asyncio.create_task(begin_stream(stream))
    for _ in range(times):
        await asyncio.sleep(0.001)
        beginning.cancel()
    await asyncio.sleep(0.001)
    assert not beginning.done()
    stream.head.set_result(None)
    with pytest.raises(asyncio.CancelledError):
        await beginning

    assert stream.is_sent


async def test_a_stream_that_cannot_begin_as_its_client_has_gone_is_nobodys_error() -> None:
    failures: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: failures.append(context))
    stream = Beginning()
    beginning = asyncio.create_task(begin_stream(stream))
    await asyncio.sleep(0.001)
    beginning.cancel()
    await asyncio.sleep(0.001)
    stream.head.set_exception(ConnectionError("gone"))
    with pytest.raises(asyncio.CancelledError):
        await beginning
    del beginning, stream
    gc.collect()

    assert failures == []


async def _awaiting(operation: Awaitable[T]) -> T:
    return await whole(operation)
