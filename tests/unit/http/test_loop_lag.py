from __future__ import annotations

import asyncio
import time

from memsvc.http.metrics import LoopLag


def work(seconds: float) -> None:
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        pass


async def test_each_stall_of_a_busy_event_loop_is_seen() -> None:
    lag = LoopLag()
    try:
        while lag.worst() < 0.03:
            # Idle before, it is looked at rarely at first.
            work(0.05)
            await asyncio.sleep(0)
        seen = []
        for _ in range(8):
            work(0.05)
            await asyncio.sleep(0.001)
            seen.append(lag.worst())
    finally:
        lag.close()
    assert min(seen) > 0.02
