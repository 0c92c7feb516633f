"""Every driver passes the conformance suite, each test an item of its own."""

from __future__ import annotations

import pytest

from memsvc.storage.conformance import Case, Place, Skipped, Store, cases


@pytest.mark.timeout(180)
@pytest.mark.parametrize("case", [pytest.param(case, id=f"{case.theme}-{case.name}") for case in cases()])
async def test_driver(place: Place, case: Case) -> None:
    try:
        async with Store(place) as store:
            await case.function(store)
    except Skipped as skipped:
        pytest.skip(str(skipped))
