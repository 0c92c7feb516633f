"""What arrives: the head of a request, checked, and its body as it comes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from msgspec import Struct

from memsvc.errors import Reason, ResourceExhausted

_LOOKAHEAD_BYTES: Final = 32 << 10
"""So much of a body may come before anybody has room for it, as with gRPC."""


class Head(Struct, frozen=True):
    """The first lines of a request. Names of headers are in lower case; what came twice is joined by commas."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    version: str
    keeps_alive: bool

    def content_type(self) -> str:
        """Return the type of the body, without its parameters."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()


class Body:
    """The body of a request, which is read once, as a whole.

    Until it is asked for, a few kilobytes are taken from the client and no more; `hold` and `go_on` stop and resume
    what comes in. `declared_bytes` is what the client says of its length, 0: nothing; `expect` lets a client send that
    asked first.
    """

    def __init__(
        self,
        limit_bytes: int,
        declared_bytes: int,
        *,
        hold: Callable[[], None],
        go_on: Callable[[], None],
        expect: Callable[[], None] | None,
    ) -> None:
        self.is_complete = False
        self.is_too_large = declared_bytes > limit_bytes
        self._limit_bytes = limit_bytes
        self._chunks: list[bytes] = []
        self.size = 0
        self._hold, self._go_on, self._expect = hold, go_on, expect
        self._asked: asyncio.Future[None] | None = None
        self._held = False

    @property
    def is_wanted(self) -> bool:
        return self._asked is not None

    def feed(self, chunk: bytes) -> None:
        """More has come."""
        self.size += len(chunk)
        if self.is_too_large or self.size > self._limit_bytes:
            self.is_too_large = True
            self._chunks.clear()
            self._wake()
            return
        self._chunks.append(chunk)
        if self._asked is None and self.size > _LOOKAHEAD_BYTES and not self._held:
            self._held = True
            self._hold()

    def end(self) -> None:
        """All has come."""
        self.is_complete = True
        # Or nothing that follows on the connection would ever be read.
        self._resume()
        self._wake()

    async def read(self) -> bytes:
        """Return all of it. Raises ResourceExhausted (REQUEST_TOO_LARGE)."""
        if not self.is_complete and not self.is_too_large:
            self._asked = asyncio.get_running_loop().create_future()
            if self._expect is not None:
                self._expect()
            self._resume()
            await self._asked
        if self.is_too_large:
            limit = self._limit_bytes
            message = f"request is larger than {limit / 2**20:.1f} MiB"
            raise ResourceExhausted(Reason.REQUEST_TOO_LARGE, message, metadata={"limit": str(limit)})
        whole = b"".join(self._chunks)
        self._chunks.clear()
        return whole

    def _resume(self) -> None:
        if self._held:
            self._held = False
            self._go_on()

    def _wake(self) -> None:
        if self._asked is not None and not self._asked.done():
            self._asked.set_result(None)
