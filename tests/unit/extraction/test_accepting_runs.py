"""Stored runs that are to be learned from: whatever order a database gives them in."""

from __future__ import annotations

import pytest

from memsvc.extraction.jobs.queue import AcceptRuns
from memsvc.journal.draft import Moment
from memsvc.journal.state import State
from memsvc.model import Message, Role, Run, Scope, TextPart, encode
from memsvc.storage.driver import EMPTY, Append, Outcome, Record, RecordKind, Row, RowKind
from memsvc.storage.registry import connect

SARAH = Scope("default", "sarah")


def run(run_id: str, index: int, agent_id: str) -> Run:
    messages = (Message(Role.USER, (TextPart("Hello"),)),)
    return Run(session_id="s1", run_id=run_id, index=index, messages=messages, agent_id=agent_id)


@pytest.mark.parametrize("url", ["memory://", "sqlite:///{folder}/m.db"])
@pytest.mark.parametrize("named", [("a", "b"), ("b", "a")])
async def test_they_are_of_the_agent_of_the_newest(url: str, named: tuple[str, str], tmp_path: object) -> None:
    driver = connect(url.format(folder=tmp_path))
    await driver.open()
    runs = [run("b", 1, "first"), run("a", 2, "second")]
    rows = [Row(RowKind.RUN, each.run_id, encode(each), each.session_id, each.index) for each in runs]
    record = Record(1, "0" * 16, RecordKind.RUN, 1, b"{}")
    stored = await driver.append([Append(scope=SARAH, after=EMPTY, records=[record], puts=rows)])
    command = AcceptRuns(named, "e1", "", "")
    await command.prepare(driver, State(SARAH))
    await driver.close()

    assert stored == [Outcome.APPENDED]
    (extraction,) = command.decide(State(SARAH), Moment(2, "1" * 16, 2)).body.extractions
    assert (extraction.run_ids, extraction.agent_id) == (("b", "a"), "second")
