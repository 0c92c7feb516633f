"""Erasing a namespace: one user after the other, and its configuration last."""

from __future__ import annotations

import asyncio
import time

from msgspec import Struct

from memsvc.administration.operating import Administration
from memsvc.model import Scope
from memsvc.paging import binding, make_token, read_token
from memsvc.storage.driver import EMPTY

_AT_ONCE = 8
"""So many users are erased at once: in one group, as far as the writer makes groups."""


class ErasedNamespace(Struct, frozen=True):
    """What a part of an erasure removed."""

    users: int
    memories: int
    runs: int
    next_page_token: str
    """Empty: none is left."""


class NamespaceEraser(Struct):
    """Erases namespaces."""

    administration: Administration

    async def erase(self, namespace: str, page_token: str, seconds: float) -> ErasedNamespace:
        """Erase users for about so long, at least one. Safe to repeat: who is erased is not listed any more."""
        bound_to = binding("erase_namespace", namespace)
        position = read_token(page_token, bound_to, str)
        after = str(position[0]) if position is not None else ""
        deadline = time.monotonic() + seconds
        users = memories = runs = 0
        driver = self.administration.users.driver
        while user_ids := await driver.users(namespace, after, _AT_ONCE):
            erasing = (self.administration.erase(Scope(namespace, user_id), None) for user_id in user_ids)
            for erased in await asyncio.gather(*erasing):
                users, memories, runs = users + 1, memories + erased.memories, runs + erased.runs
            after = user_ids[-1]
            if time.monotonic() > deadline:
                return ErasedNamespace(users, memories, runs, make_token(bound_to, after))
        await self._erase_configuration(Scope(namespace, ""))
        return ErasedNamespace(users, memories, runs, "")

    async def _erase_configuration(self, scope: Scope) -> None:
        users = self.administration.users
        tip = await users.tip(scope)
        if tip == EMPTY:
            return
        state = (await users.latest(scope)).state
        if state.core.erase_seq != state.seq:
            await self.administration.erase(scope, None)
