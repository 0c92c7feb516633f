"""How many users a namespace has, as far as it matters: whether there is room for one more."""

from __future__ import annotations

import time
from typing import Final

from msgspec import Struct, field

from memsvc.errors import Reason, ResourceExhausted
from memsvc.model import Scope
from memsvc.users.users import Users

_TRUSTED_SECONDS: Final = 10.0
"""Users that other servers make are seen after so long."""
_PAGE: Final = 1_000
_KEPT: Final = 1_000


class _Count(Struct):
    since: float
    users: int
    """That were there then."""
    most: int
    """Counted up to here and no further."""
    new: set[str] = field(default_factory=set)
    """That came since, or may have."""


class Population:
    """Counts users of namespaces; one for a process."""

    def __init__(self, users: Users) -> None:
        self._users = users
        self._counts: dict[str, _Count] = {}

    async def check_room(self, scope: Scope, most: int) -> None:
        """Raise ResourceExhausted (QUOTA_EXCEEDED) where the namespace has so many users, and this is none of them.

        Servers that write at the same time may each let one in.
        """
        if (await self._users.read(scope)).state.tip.seq:
            return
        count = self._counts.get(scope.namespace)
        if count is None or count.most != most or time.monotonic() - count.since > _TRUSTED_SECONDS:
            count = await self._counted(scope.namespace, most)
        if scope.user_id in count.new:
            return
        if count.users + len(count.new) >= most:
            message = f"namespace has {most} of {most} users"
            raise ResourceExhausted(Reason.QUOTA_EXCEEDED, message, metadata={"limit": str(most)})
        count.new.add(scope.user_id)

    async def _counted(self, namespace: str, most: int) -> _Count:
        since, users, after = time.monotonic(), 0, ""
        while users < most:
            page = await self._users.driver.users(namespace, after, min(_PAGE, most - users))
            users += len(page)
            if not page:
                break
            after = page[-1]
        if len(self._counts) >= _KEPT:
            self._counts.clear()
        count = self._counts[namespace] = _Count(since, users, most)
        return count
