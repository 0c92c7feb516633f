"""The suite runs without pytest, on a store in use, and says what it found."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Sequence

import msgspec
import pytest

from memsvc.errors import InvalidArgument
from memsvc.model import Scope
from memsvc.storage.conformance import Case, Place, Report, Result, Store, Verdict, cases, driver_table, run, run_case
from memsvc.storage.conformance.items import Journal
from memsvc.storage.driver import EMPTY, Capabilities, Driver, Tip
from memsvc.storage.memory import MemoryDriver
from memsvc.storage.registry import connect

SOME = ("append.*", "erasing.*", "due_and_users.*")


async def test_a_run_reports_every_test() -> None:
    report = await run("memory://reported")
    assert report.passed, report.as_text()
    assert [result.name for result in report.results] == [case.name for case in cases()]
    assert all(result.reason for result in report.of(Verdict.SKIPPED))
    assert report.capabilities.durable.reason == "kept in RAM only"


async def test_a_run_selects_by_theme_and_name() -> None:
    report = await run("memory://", select=["close_twice", "erasing.*"])
    assert {result.theme for result in report.results} == {"erasing", "lifecycle"}
    assert len(report.results) > 5
    [result] = (await run("memory://", select="close_twice")).results
    assert result.name == "test_close_twice"
    with pytest.raises(InvalidArgument, match="no test matches 'no-such'"):
        await run("memory://", select=["no-such"])


async def test_a_run_leaves_a_store_in_use_as_it_was() -> None:
    driver = connect("memory://in-use")
    await driver.open()
    async with Store(Place("memory://in-use", {})) as store:
        journal = Journal(driver, store.user())
        await journal.append(due=1)
        report = await run("memory://in-use", select=SOME)
        assert report.passed, report.as_text()
        assert list(await driver.tips([journal.scope])) == [journal.tip]
        assert [due.scope for due in await driver.due(2**62, 10_000)] == [journal.scope]


async def test_a_test_erases_its_users() -> None:
    async with Store(Place("memory://erased", {})) as store:
        await store.journal().append()
        scopes = [*store.crowd(3), store.user(within="-other")]
        for scope in scopes:
            await Journal(store.driver, scope).append()
    driver = connect("memory://erased")
    await driver.open()
    assert list(await driver.users(store.namespace, "", 10)) == []
    assert list(await driver.users(f"{store.namespace}-other", "", 10)) == []


async def test_a_failure_names_line_and_values() -> None:
    class Mute(MemoryDriver):
        async def tips(self, scopes: Sequence[Scope]) -> Sequence[Tip]:
            return [EMPTY for _ in scopes]

    class MutePlace(Place):
        def connect(self) -> Driver:
            return Mute(self.url, self.options)

    [case] = cases("tips_come_in_the_order_asked_for")
    result = await run_case(case, MutePlace("memory://", {}))
    assert result.verdict is Verdict.FAILED
    assert "reading.py:" in result.reason
    assert "asked = [Scope(" in result.reason


async def test_a_test_that_hangs_fails() -> None:
    result = await run_case(Case("mine", "test_hangs", _hang), Place("memory://", {}), test_seconds=0.05)
    assert (result.verdict, result.reason) == (Verdict.FAILED, "no end after 0.05 s")


async def test_a_report_hides_credentials() -> None:
    report = await run("memory://user:hunter2@store?password=hunter2", select=["close_twice"])
    assert report.url == "memory://store"
    for text in (report.as_text(), report.as_markdown(), json.dumps(report.as_dict())):
        assert "hunter2" not in text


async def test_the_table_of_drivers_has_a_row_a_report() -> None:
    report = await run("memory://", select=["close_twice", "*appends_survive_reopening"])
    failed = Report(report.url, "broken", report.capabilities, [Result("a", "b", Verdict.FAILED, 0.0, "no | good")])
    said = "no: kept in RAM only | no: kept in RAM only | no: one process only | no: one process only"
    assert driver_table([report, failed]).splitlines()[2:] == [
        f"| memory | {said} | 1 of 1 passed, 1 do not apply |",
        f"| broken | {said} | 0 of 1 passed, 0 do not apply |",
    ]
    assert "no \\| good" in failed.as_markdown()
    assert not failed.passed


async def test_a_report_says_what_an_operator_should_change() -> None:
    class Lax(MemoryDriver):
        def capabilities(self) -> Capabilities:
            return msgspec.structs.replace(super().capabilities(), warnings=["fsync is off: a crash loses appends."])

    driver = Lax("memory://", {})
    await driver.open()
    report = Report("memory://", "memory", driver.capabilities(), [])
    assert "  warning    fsync is off: a crash loses appends.\n" in report.as_text()
    assert "\n- Warning: fsync is off: a crash loses appends.\n\n| test |" in report.as_markdown()
    assert report.as_dict()["warnings"] == ["fsync is off: a crash loses appends."]


def test_the_suite_needs_no_development_tools() -> None:
    program = "import sys, memsvc.storage.conformance; print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert not {"pytest", "hypothesis", "sqlalchemy", "grpc"}.intersection(ran.stdout.split())


async def _hang(store: Store) -> None:
    await asyncio.Event().wait()
