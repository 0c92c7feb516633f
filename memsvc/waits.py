"""What a call waits for: so that one that runs out of time is told whether the database was slow, or memsvc itself.

The edge gives each call a `Waits`. Whatever asks the database counts there while it waits, through the call's context;
so does who waits for an answer that another task asked for. What the database does not answer is said in the log.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from types import TracebackType
from typing import Any, cast

from msgspec import Struct

from memsvc.errors import StorageUnavailable
from memsvc.log import Log, Spell
from memsvc.storage.driver import Driver

log = Log(__name__)

_ASKED = ("append", "tips", "load", "records", "rows", "get", "users", "scopes", "truncate", "redact", "ping")


class Waits(Struct, gc=False, eq=False):
    """Of one call. As a context: the call waits for the database."""

    for_database: int = 0
    """How many answers of the database it waits for."""
    has_written: bool = False
    """Whether it handed over something to be written."""

    def __enter__(self) -> Waits:
        self.for_database += 1
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.for_database -= 1


_NOBODY = Waits()
_of_call: ContextVar[Waits] = ContextVar("waits", default=_NOBODY)


def begin_waits() -> Waits:
    """Return what the call that runs in this context waits for, from now on."""
    waits = Waits()
    _of_call.set(waits)
    return waits


def current_waits() -> Waits:
    """Return what the call waits for for which this runs; outside of one, what nobody looks at."""
    return _of_call.get()


def waited_for(driver: Driver) -> Driver:
    """Return the driver, which from now on counts who waits for it."""
    return cast("Driver", _WaitedFor(driver))


class _WaitedFor:
    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        # Each batch asks, and what is not found here takes long to find.
        self.capabilities = driver.capabilities
        for name in _ASKED:
            setattr(self, name, _counted(getattr(driver, name), name))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._driver, name)


def _counted(ask: Callable[..., Awaitable[Any]], operation: str) -> Callable[..., Awaitable[Any]]:
    # Each for itself: of a damaged file the head may be read, and a user not.
    failing = Spell(log, "database_fails", "database_answers_again", operation=operation)

    async def asked(*args: Any, **options: Any) -> Any:
        waits = _of_call.get()
        waits.for_database += 1
        try:
            answer = await ask(*args, **options)
        except StorageUnavailable as error:
            if operation != "append":  # The writer, which knows what becomes of it, says so.
                failing.failed(reason=error.reason, because=error.message)
            raise
        finally:
            waits.for_database -= 1
        if failing.is_said:
            failing.went_well()
        return answer

    return asked
