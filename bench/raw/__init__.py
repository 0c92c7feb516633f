"""What a driver is measured against: its database's own client, doing the same work by hand, without a check."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

STATE = b'{"revision":7,"next_number":12,"queue":[],"claim":{"owner":"","epoch":3},"usage":{"calls":4,"tokens":2210}}'
REQUEST = b'{"digest":"0011223344556677","seq":7}'


class RawAppend(NamedTuple):
    """One user's step: its head moves, a record is added, and three rows are put: the state, a memory, a request id."""

    user: str
    seq: int
    nonce: str
    memory_id: str
    memory: bytes
    """The record's body is the same."""
    request_id: str


class RawClient(Protocol):
    """One connection or pool of the client, with tables or keys of its own, empty at first."""

    async def open(self) -> None: ...

    async def close(self) -> None:
        """Leave nothing behind."""

    async def append(self, group: Sequence[RawAppend]) -> None:
        """Make all of it durable, in as few statements and round trips as the client allows."""

    async def load(self, user: str) -> int:
        """Read a user's head, state and memories; return how many memories there are."""

    async def tips(self, users: Sequence[str]) -> None:
        """Read where these users' journals end, in one round trip."""
