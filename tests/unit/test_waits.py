"""What the database does not answer is said in the log: when it begins and when it is over, for each operation."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from memsvc.errors import StorageUnavailable
from memsvc.model import Scope
from memsvc.storage.driver import Tip
from memsvc.storage.memory import MemoryDriver
from memsvc.waits import waited_for

SARAH = Scope("default", "sarah")


class Away(MemoryDriver):
    """A database that does not say where journals end, for a while."""

    away = False

    async def tips(self, scopes: Sequence[Scope]) -> Sequence[Tip]:
        if self.away:
            raise StorageUnavailable("database did not answer")
        return await super().tips(scopes)


async def test_an_operation_that_fails_is_said_once_and_once_more_when_it_does_not(
    caplog: pytest.LogCaptureFixture,
) -> None:
    away = Away("memory://", {})
    await away.open()
    driver = waited_for(away)
    away.away = True
    for _ in range(3):
        with pytest.raises(StorageUnavailable):
            await driver.tips([SARAH])
        assert await driver.users("default", "", 10) == []
    away.away = False
    for _ in range(3):
        await driver.tips([SARAH])

    assert [(each.getMessage(), each.__dict__["fields"]["operation"]) for each in caplog.records] == [
        ("database_fails", "tips"),
        ("database_answers_again", "tips"),
    ]
