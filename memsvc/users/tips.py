"""Where journals end: one question to the database for all reads that wait."""

from __future__ import annotations

import asyncio

from memsvc.model import Scope
from memsvc.storage.driver import Driver, Tip


class SharedTips:
    """Asks once for all reads of one turn of the event loop; no read joins a question that was already sent."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self._waiting: dict[Scope, list[asyncio.Future[Tip]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def get(self, scope: Scope) -> Tip:
        return await self.ask(scope)

    def ask(self, scope: Scope) -> asyncio.Future[Tip]:
        """Return what will hold the answer: who asks for several users at one go waits once."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Tip] = loop.create_future()
        if not self._waiting:
            loop.call_soon(self._send)
        self._waiting.setdefault(scope, []).append(future)
        return future

    def _send(self) -> None:
        waiting, self._waiting = self._waiting, {}
        task = asyncio.create_task(self._ask(waiting))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _ask(self, waiting: dict[Scope, list[asyncio.Future[Tip]]]) -> None:
        try:
            tips = await self._driver.tips(list(waiting))
        except Exception as error:
            for futures in waiting.values():
                for future in futures:
                    if not future.done():
                        future.set_exception(error)
            return
        for futures, tip in zip(waiting.values(), tips, strict=True):
            for future in futures:
                if not future.done():
                    future.set_result(tip)
