"""A database that dies while it is copied to, or from, and comes back."""

from __future__ import annotations

from typing import Any

import pytest
from copying_stores import NETWORKED, SERVERS, Stores
from houses import compared, contents, copied, grow

from memsvc.model import Scope
from memsvc.storage.driver import Driver
from memsvc.storage.registry import connect


@pytest.mark.parametrize("operation", ["seed", "append"])
@pytest.mark.parametrize("name", NETWORKED)
async def test_a_destination_that_is_killed_meanwhile_misses_nothing(
    name: str, operation: str, request: pytest.FixtureRequest, stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = request.getfixturevalue("own_" + SERVERS[name].removesuffix("_server"))()
    source: Driver = await stores.new("memory")
    destination = await stores.opened(connect(server.url))
    for number in range(12):
        await grow(source, Scope("default", f"user-{number}"), records=3)
    real = getattr(destination, operation)
    asked = 0

    async def killing(*args: Any, **how: Any) -> Any:
        nonlocal asked
        asked += 1
        if asked == 6:
            server.kill()
            server.start()
        return await real(*args, **how)

    monkeypatch.setattr(destination, operation, killing)
    assert (await copied(source, destination)).left == []
    assert (await compared(source, destination)).same
    assert await contents(destination) == await contents(source)
