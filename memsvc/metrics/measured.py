"""The database and the embedder, measured from outside: neither knows of it."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, cast

from memsvc.errors import Error, Reason
from memsvc.metrics.meters import Meters
from memsvc.storage.driver import Driver

_ASKED: Final = (
    "append",
    "tips",
    "load",
    "records",
    "rows",
    "get",
    "users",
    "scopes",
    "due",
    "truncate",
    "redact",
    "ping",
)


def measured_driver(driver: Driver, meters: Meters) -> Driver:
    """Return the driver, whose calls are measured from now on."""
    return cast("Driver", _Measured(driver, meters))


class _Measured:
    def __init__(self, driver: Driver, meters: Meters) -> None:
        self._driver = driver
        for operation in _ASKED:
            # Asked by every read: where it costs nothing, to measure it would cost more.
            is_free = operation == "tips" and driver.capabilities().tips_cost_nothing
            if hasattr(driver, operation) and not is_free:
                setattr(self, operation, _timed(getattr(driver, operation), operation, meters))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._driver, name)


def _timed(ask: Callable[..., Awaitable[Any]], operation: str, meters: Meters) -> Callable[..., Awaitable[Any]]:
    observe = meters.database_seconds.cell(operation).observe
    clock = time.perf_counter

    async def asked(*args: Any, **options: Any) -> Any:
        started = clock()
        try:
            answer = await ask(*args, **options)
        except Exception as error:
            reason = error.reason if isinstance(error, Error) else Reason.INTERNAL
            meters.database_errors.cell(operation, str(reason)).add()
            observe(clock() - started)
            raise
        observe(clock() - started)
        return answer

    return asked


class MeasuredEmbedder:
    """An embedder whose calls are measured; one that is instant stays so."""

    def __init__(self, embedder: Any, meters: Meters) -> None:
        self._embedder = embedder
        self._meters = meters
        if embedder.instant:
            # Microseconds a text: only counted.
            self.vector = self._vector

    def __getattr__(self, name: str) -> Any:
        return getattr(self._embedder, name)

    def _vector(self, text: str) -> bytes:
        self._meters.embedder_texts.cell().add()
        vector: bytes = self._embedder.vector(text)
        return vector

    async def embed(self, texts: Sequence[str]) -> Sequence[bytes]:
        meters, started = self._meters, time.perf_counter()
        meters.embedder_texts.cell().add(len(texts))
        outcome = "failed"
        try:
            vectors: Sequence[bytes] = await self._embedder.embed(texts)
            outcome = "succeeded"
            return vectors
        finally:
            meters.embedder_calls.cell(outcome).add()
            meters.embedder_seconds.cell().observe(time.perf_counter() - started)
