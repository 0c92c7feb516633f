"""Who waits for a user to move, and what wakes them: work of this process, and the driver's hints about others'."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from msgspec import Struct, field

from memsvc.errors import Error
from memsvc.log import Log
from memsvc.model import Scope
from memsvc.storage.driver import Driver, Tip

log = Log(__name__)

_RETRY_SECONDS = 1.0
_TIPS_AT_ONCE = 256


class Moves(Struct):
    """The watches of a process. A hint only shortens a wait: whoever waits looks for itself now and then."""

    _events: dict[Scope, set[asyncio.Event]] = field(default_factory=dict)

    def watch(self, scope: Scope) -> Watch:
        """Return a handle that tells when the user moves."""
        return Watch(self._events, scope)

    def tell(self, scope: Scope) -> None:
        """Wake those who watch a user."""
        for event in self._events.get(scope, ()):
            event.set()

    async def follow(self, driver: Driver, known: Callable[[Scope], Tip | None]) -> None:
        """Wake watches when the driver hints at a move, for good. `known` says where a user is in this process."""
        while True:
            try:
                async for scope in driver.hints():
                    if scope is not None:
                        self.tell(scope)
                        continue
                    watched = list(self._events)
                    for start in range(0, len(watched), _TIPS_AT_ONCE):
                        await self._tell_moved(driver, watched[start : start + _TIPS_AT_ONCE], known)
            except Error as error:
                log.warning("follow_hints_failed", reason=error.reason)
            except Exception as error:
                log.error("follow_hints_failed", error)
            await asyncio.sleep(_RETRY_SECONDS)

    async def _tell_moved(self, driver: Driver, scopes: Sequence[Scope], known: Callable[[Scope], Tip | None]) -> None:
        for scope, tip in zip(scopes, await driver.tips(scopes), strict=True):
            if known(scope) != tip:
                self.tell(scope)


class Watch:
    """Wakes when a user moves, or after a while."""

    def __init__(self, events: dict[Scope, set[asyncio.Event]], scope: Scope) -> None:
        self._events = events
        self._scope = scope
        self._event = asyncio.Event()

    def __enter__(self) -> Watch:
        self._events.setdefault(self._scope, set()).add(self._event)
        return self

    def __exit__(self, *_: object) -> None:
        events = self._events.get(self._scope)
        if events is not None:
            events.discard(self._event)
            if not events:
                del self._events[self._scope]

    def wake(self) -> None:
        """End the wait."""
        self._event.set()

    async def wait(self, seconds: float) -> bool:
        """Return whether it moved before `seconds` had passed."""
        try:
            async with asyncio.timeout(seconds):
                await self._event.wait()
        except TimeoutError:
            return False
        self._event.clear()
        return True
