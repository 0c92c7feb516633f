"""Which users are in RAM: as many as the budget holds, those not used for longest go first, pinned ones stay."""

from __future__ import annotations

from collections import OrderedDict

from memsvc.model import Scope
from memsvc.users.hot import HotUser


class HotCache:
    """Hot users by scope.

    What a command was prepared on is pinned until the command is decided: a small cache may then hold more than its
    budget, but never loads a user again and again who is evicted before anything came of it.
    """

    def __init__(self, budget_bytes: int) -> None:
        self._budget_bytes = budget_bytes
        self._users: dict[Scope, HotUser] = {}
        self._idle: OrderedDict[Scope, None] = OrderedDict()
        """Those that nobody has pinned, used longest ago first."""
        self._pins: dict[Scope, int] = {}
        self._sizes: dict[Scope, int] = {}
        self.total_bytes = 0
        self.evictions = 0

    def __contains__(self, scope: Scope) -> bool:
        return scope in self._users

    def __len__(self) -> int:
        return len(self._users)

    def get(self, scope: Scope) -> HotUser | None:
        """Return the user if it is in RAM."""
        return self._users.get(scope)

    def put(self, hot: HotUser) -> None:
        """Take in a user that is not in RAM yet."""
        scope = hot.state.scope
        self._users[scope] = hot
        if scope not in self._pins:
            self._idle[scope] = None
        self.recount(hot)

    def use(self, scope: Scope) -> None:
        """Note that the user is in use, so that others are evicted before it."""
        if scope in self._idle:
            self._idle.move_to_end(scope)

    def recount(self, hot: HotUser) -> None:
        """Count anew what the user takes, if it is here; evict others where there is no room for it."""
        scope = hot.state.scope
        if self._users.get(scope) is not hot:
            return
        size = hot.size_bytes
        self.total_bytes += size - self._sizes.get(scope, 0)
        self._sizes[scope] = size
        self.use(scope)
        self._evict()

    def forget(self, scope: Scope) -> None:
        """Drop a user, pinned or not: the next who asks loads it."""
        hot = self._users.pop(scope, None)
        if hot is not None:
            self._idle.pop(scope, None)
            self.total_bytes -= self._sizes.pop(scope)
            # What was derived refers back to the user: without this, only the collector would free either.
            hot.cache.clear()
            hot.forget_past()

    def pin(self, scope: Scope) -> None:
        """Keep the user, in RAM already or not, until it was unpinned as often as pinned."""
        self._pins[scope] = self._pins.get(scope, 0) + 1
        self._idle.pop(scope, None)

    def unpin(self, scope: Scope) -> None:
        """Let the user be evicted again."""
        pins = self._pins.pop(scope) - 1
        if pins:
            self._pins[scope] = pins
        elif scope in self._users:
            self._idle[scope] = None
            self._evict()

    def _evict(self) -> None:
        # The one used last stays, be it ever so large: else each of its readers would load it.
        while self.total_bytes > self._budget_bytes and len(self._idle) > 1:
            self.evictions += 1
            self.forget(next(iter(self._idle)))
