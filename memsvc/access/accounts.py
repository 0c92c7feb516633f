"""Counts what callers and namespaces take at once, or in a second, against what they may.

A call that is refused has taken nothing. Each is told when to try again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any, Final

from memsvc.errors import Reason, ResourceExhausted

_RETRY_SECONDS: Final = 1.0
_KEPT: Final = 10_000


class Account:
    """Of one caller, or of one namespace."""

    __slots__ = ("_calls_left", "_since", "bytes", "streams")

    def __init__(self) -> None:
        self.bytes = 0
        self.streams = 0
        self._calls_left = 0.0
        self._since = -1e9

    @property
    def is_idle(self) -> bool:
        """Whether forgetting it changes nothing, but for what was called in the last minute."""
        return not self.bytes and not self.streams and time.monotonic() - self._since > 60

    def take_call(self, per_second: float) -> None:
        """Count a call. Raises ResourceExhausted where there were too many; as many as in a second may come at once."""
        now = time.monotonic()
        burst = max(1.0, per_second)
        self._calls_left = min(burst, self._calls_left + (now - self._since) * per_second)
        self._since = now
        if self._calls_left < 1:
            raise _reached(f"{per_second:g} calls a second", (1 - self._calls_left) / per_second)
        self._calls_left -= 1

    def check_bytes(self, size: int, limit: int) -> None:
        """Raise ResourceExhausted where so much more is too much. What is larger by itself fits into an empty one."""
        if self.bytes and self.bytes + size > limit:
            raise _reached(f"{limit} bytes in flight", _RETRY_SECONDS)

    def open_stream(self, task: asyncio.Task[Any], limit: int) -> None:
        """Count a stream until the task has ended."""
        if self.streams >= limit:
            raise _reached(f"{limit} open streams", _RETRY_SECONDS)
        self.streams += 1
        task.add_done_callback(lambda _: self._end_stream())

    def _end_stream(self) -> None:
        self.streams -= 1


class Held:
    """The bytes that one call holds, on each of its accounts, until its task has ended."""

    def __init__(self, task: asyncio.Task[Any], limits: Sequence[tuple[Account, int]]) -> None:
        """`limits`: accounts with how much each may count."""
        self._limits = limits
        self._size = 0
        task.add_done_callback(lambda _: self._count(-self._size))

    def request(self, size: int) -> None:
        """Hold the request. Raises ResourceExhausted where it does not fit."""
        self._check(size)
        self._count(size)

    def reply(self, size: int, *, refuse: bool) -> None:
        """Hold the reply in the place of the request; `refuse`: raise ResourceExhausted where it does not fit."""
        self._count(-self._size)
        if refuse:
            self._check(size)
        self._count(size)

    def _check(self, size: int) -> None:
        for account, limit in self._limits:
            account.check_bytes(size, limit)

    def _count(self, size: int) -> None:
        self._size += size
        for account, _ in self._limits:
            account.bytes += size


class Accounts:
    """Those of a server, by the keys of callers and the names of namespaces."""

    def __init__(self) -> None:
        self._accounts: dict[tuple[str, str], Account] = {}

    def of(self, kind: str, name: str) -> Account:
        account = self._accounts.get((kind, name))
        if account is None:
            if len(self._accounts) >= _KEPT:
                self._accounts = {key: each for key, each in self._accounts.items() if not each.is_idle}
            account = self._accounts[kind, name] = Account()
        return account


def _reached(limit: str, seconds: float) -> ResourceExhausted:
    return ResourceExhausted(Reason.LIMIT_REACHED, f"more than {limit}", retry_after_seconds=max(seconds, 0.001))
