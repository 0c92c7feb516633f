"""Who may use a connection: one process, and as long as it is open."""

from __future__ import annotations

import os

from memsvc_client.errors import ClientMisused


class Ownership:
    """Tells that a client is closed, or was made by a process that this one was forked from."""

    def __init__(self) -> None:
        self.closed = False
        self._process_id = os.getpid()

    @property
    def elsewhere(self) -> bool:
        """Whether this is another process than that which made the client."""
        return os.getpid() != self._process_id

    def check(self) -> None:
        """Raise ClientMisused where the client cannot be used, or not from here."""
        if self.elsewhere:
            raise ClientMisused(
                "this client was made in another process, and its connection stays there: make a client after the fork",
                reason="OTHER_PROCESS",
            )
        if self.closed:
            raise ClientMisused("this client is closed: make a new one", reason="CLIENT_CLOSED")


def other_event_loop() -> ClientMisused:
    """Return the error of an asyncio client that is used in a second event loop."""
    return ClientMisused(
        "this client belongs to another event loop, the one that first used it: make a client within asyncio.run",
        reason="OTHER_EVENT_LOOP",
    )
