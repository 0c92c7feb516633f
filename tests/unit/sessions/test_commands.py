"""What is read before a run is stored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from memsvc.ids import new_id
from memsvc.model import LearningMode, Message, Role, Run, Scope, TextPart
from memsvc.sessions import AppendRunCommand, Quiet, Sessions
from memsvc.storage.driver import Row, RowKind
from memsvc.storage.memory import MemoryDriver
from memsvc.users import Users
from memsvc.writing.writer import Writer

SARAH = Scope("default", "sarah")


class Asked(MemoryDriver):
    """Notes which rows are asked for by id."""

    def __init__(self) -> None:
        super().__init__("memory://", {})
        self.asked: list[str] = []

    async def get(self, scope: Scope, kind: RowKind, row_ids: Sequence[str]) -> Mapping[str, Row]:
        self.asked += row_ids
        return await super().get(scope, kind, row_ids)


async def say(driver: MemoryDriver, session_id: str) -> None:
    users = Users(driver)
    run = Run(session_id=session_id, run_id=new_id(), index=0, messages=(Message(Role.USER, (TextPart("Hi"),)),))
    command = AppendRunCommand(run, 2, LearningMode.OFF, Quiet(0, 0), new_id())
    await Sessions(users, Writer(users)).append(SARAH, command)


async def test_a_session_that_is_not_in_ram_is_read_unless_its_user_has_none() -> None:
    driver = Asked()
    await driver.open()
    await say(driver, "s1")
    assert driver.asked == []
    await say(driver, "s1")
    await say(driver, "s2")
    assert driver.asked == ["s1", "s2"]
    users = Users(driver)
    assert (await Sessions(users, Writer(users)).get(SARAH, "s1")).run_count == 2
    await driver.close()
