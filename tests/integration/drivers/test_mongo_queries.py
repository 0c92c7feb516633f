"""The queries as they are put to MongoDB itself, which has indexes: FerretDB is otherwise spared most of them."""

from __future__ import annotations

import pytest
from mongo_stores import empty_store

from memsvc.storage.conformance import Case, Place, Skipped, Store, cases
from memsvc_drivers.mongo.client import Client
from tests.servers.ferretdb import FerretDB
from tests.servers.given import GivenServer

pytestmark = pytest.mark.mongodb

THEMES = ("append", "rows", "truncation", "erasing", "moving")
CASES = [case for case in cases() if case.theme in THEMES and not case.name.endswith("_text_is_gone")]


@pytest.mark.parametrize("case", [pytest.param(case, id=f"{case.theme}-{case.name}") for case in CASES])
async def test_case(mongodb_server: FerretDB | GivenServer, case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Client, "adapt", lambda self, *, scans, replicated: None)
    async with empty_store(mongodb_server.url) as url:
        try:
            async with Store(Place(url, {})) as store:
                await case.function(store)
        except Skipped as skipped:
            pytest.skip(str(skipped))
