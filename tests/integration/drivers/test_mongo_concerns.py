"""What DURABLE stands for on MongoDB: every write asks for the majority's journals, whatever the URL says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from mongo_stores import empty_store
from pymongo import monitoring

from memsvc.model import Scope
from memsvc.storage.conformance import Place
from memsvc.storage.conformance.items import Journal, memory, redact, run
from tests.servers.ferretdb import FerretDB
from tests.servers.given import GivenServer

pytestmark = pytest.mark.mongodb

SARAH = Scope("default", "sarah")
WRITES = {"insert", "update", "delete", "findAndModify"}


class Listener(monitoring.CommandListener):
    """Keeps what is sent while it listens. PyMongo keeps it for good, so it is registered once."""

    def __init__(self) -> None:
        self.sent: list[Any] | None = None

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        if self.sent is not None:
            self.sent.append(event.command)

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None: ...

    def failed(self, event: monitoring.CommandFailedEvent) -> None: ...


LISTENER = Listener()
monitoring.register(LISTENER)


@pytest.fixture
def sent() -> Iterator[list[Any]]:
    LISTENER.sent = []
    yield LISTENER.sent
    LISTENER.sent = None


@pytest.mark.parametrize(
    "parameters",
    ["", "w=1", "w=0&journal=false", "journal=false", "readPreference=secondary&retryWrites=true", "w=1&wtimeoutMS=1"],
)
async def test_every_write_waits_for_the_journals_of_the_majority(
    mongodb_server: FerretDB | GivenServer, sent: list[Any], parameters: str
) -> None:
    async with empty_store(mongodb_server.url) as url:
        place = Place(f"{url}{'&' if '?' in url else '?'}{parameters}" if parameters else url, {})
        async with place.opened() as driver:
            journal = Journal(driver, SARAH)
            await journal.append([b"1", b"2"], puts=[memory("m1"), run("r1", 1)])
            await journal.append(deletes=[])
            await redact(driver, SARAH, {1: b"{}"})
            await driver.truncate(SARAH, 2)
            await journal.append(erases=True)
            await driver.seed(Scope("default", "copy"), [memory("m1")], afresh=True)
    commands = [command for command in sent if WRITES.intersection(command)]
    assert {name for command in commands for name in WRITES.intersection(command)} >= {"insert", "update"}
    for command in commands:
        concern = command.get("writeConcern", {})
        assert (concern.get("w"), concern.get("j")) == ("majority", True), command
