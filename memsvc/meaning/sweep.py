"""Making the vectors of every user of a database: after another model was chosen, say.

Who has all of the model's vectors costs one read, so that a sweep that was cut off goes on where it was.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from msgspec import Struct

from memsvc.meaning.meaning import Meaning
from memsvc.model import Scope
from memsvc.storage.driver import Driver
from memsvc.users import Users

_PAGE_SCOPES = 256
_PAUSE_SECONDS = 1.0


class Swept(Struct, frozen=True):
    """How far a sweep has come."""

    users: int = 0
    memories: int = 0
    made: int = 0
    waits: str = ""
    """Why it makes no progress for now."""


async def embed_all(driver: Driver, users: Users, meaning: Meaning) -> AsyncIterator[Swept]:
    """Make what vectors are missing, user by user; yield after each, and when the embedder has to be waited for."""
    swept = Swept()
    after: Scope | None = None
    while scopes := await driver.scopes(after, _PAGE_SCOPES):
        after = scopes[-1]
        for scope in scopes:
            if not scope.user_id:
                continue
            user = await users.latest(scope)
            await meaning.prepare(user)
            lacking = meaning.lacking(user)
            while lacking and not await meaning.serve(scope):
                yield Swept(swept.users, swept.memories, swept.made, meaning.last_failure)
                await asyncio.sleep(_PAUSE_SECONDS)
            swept = Swept(swept.users + 1, swept.memories + user.state.memory_count, swept.made + lacking)
            users.forget(scope)
            yield swept
