"""What the SQLite driver reads on the event loop."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path

from sqlite_stores import SARAH, grown, opened

from memsvc.model import Scope
from memsvc.storage.driver import EMPTY

OF_NAMESPACE = Scope(SARAH.namespace, "")
NOBODY = Scope("elsewhere", SARAH.user_id)


async def test_tips_come_in_the_order_in_which_they_are_asked_for(tmp_path: Path) -> None:
    async with opened(tmp_path / "memsvc.db") as driver:
        tips = {SARAH: await grown(driver, records=2), OF_NAMESPACE: await grown(driver, OF_NAMESPACE), NOBODY: EMPTY}
        for count in (1, 2, 3):
            for scopes in permutations(tips, count):
                assert list(await driver.tips(scopes)) == [tips[scope] for scope in scopes]
        assert list(await driver.tips((SARAH, SARAH))) == [tips[SARAH]] * 2
