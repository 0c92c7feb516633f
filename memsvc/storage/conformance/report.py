"""What a run of the suite found, for people and for programs."""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from memsvc.storage.driver import Capabilities, Capability


class Verdict(enum.StrEnum):
    """How a test ended."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Result:
    """How one test ended, and why where it did not pass."""

    theme: str
    name: str
    verdict: Verdict
    seconds: float
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """How a store did."""

    url: str
    """Without credentials."""
    driver: str
    """The URL's scheme."""
    capabilities: Capabilities
    results: Sequence[Result]

    @property
    def passed(self) -> bool:
        """Whether no test failed."""
        return not self.of(Verdict.FAILED)

    def of(self, verdict: Verdict) -> list[Result]:
        """Return the results with this verdict."""
        return [result for result in self.results if result.verdict is verdict]

    @property
    def summary(self) -> str:
        """`87 passed, 2 skipped, 0 failed in 12.3 s`."""
        counted = Counter(result.verdict for result in self.results)
        seconds = sum(result.seconds for result in self.results)
        passed, skipped, failed = counted[Verdict.PASSED], counted[Verdict.SKIPPED], counted[Verdict.FAILED]
        return f"{passed} passed, {skipped} skipped, {failed} failed in {seconds:.1f} s"

    def as_dict(self) -> dict[str, Any]:
        """Return the report as JSON-ready data."""
        return {
            "url": self.url,
            "driver": self.driver,
            "passed": self.passed,
            "summary": self.summary,
            "capabilities": {name: capability._asdict() for name, capability in _named(self.capabilities)},
            "warnings": list(self.capabilities.warnings),
            "results": [asdict(result) for result in self.results],
        }

    def as_text(self) -> str:
        """Return the report for a terminal: a line a test."""
        lines = [f"{self.driver}: {self.url}", ""]
        lines += [f"  {name:<10} {_say(capability)}" for name, capability in _named(self.capabilities)]
        lines += [f"  {'warning':<10} {warning}" for warning in self.capabilities.warnings]
        lines.append("")
        for result in self.results:
            lines.append(f"  {result.verdict:<8} {result.seconds * 1000:>7.0f} ms  {result.theme}.{result.name}")
            lines += [f"           {line}" for line in result.reason.splitlines()]
        return "\n".join([*lines, "", self.summary])

    def as_markdown(self) -> str:
        """Return the report as Markdown: a table of capabilities, what to change, and a table of tests."""
        lines = [f"# {self.driver}: {self.summary}", "", "| capability | |", "| --- | --- |"]
        lines += [f"| {name} | {_cell(_say(capability))} |" for name, capability in _named(self.capabilities)]
        lines += ["", *(f"- Warning: {' '.join(warning.split())}" for warning in self.capabilities.warnings)]
        lines += [
            *([""] if self.capabilities.warnings else []),
            "| test | outcome | ms | why |",
            "| --- | --- | ---: | --- |",
        ]
        lines += [
            f"| {result.theme}: {_cell(result.name.removeprefix('test_').replace('_', ' '))} | {result.verdict} "
            f"| {result.seconds * 1000:.0f} | {_cell(result.reason)} |"
            for result in self.results
        ]
        return "\n".join([*lines, ""])


def driver_table(reports: Sequence[Report]) -> str:
    """Return the table of drivers for a README: a row a report."""
    lines = ["| driver | durable | failover | shared | hints | conformance |", "| --- | --- | --- | --- | --- | --- |"]
    for report in reports:
        said = " | ".join(_cell(_say(capability)) for _, capability in _named(report.capabilities))
        lines.append(f"| {report.driver} | {said} | {_tally(report)} |")
    return "\n".join([*lines, ""])


def _tally(report: Report) -> str:
    passed, failed = len(report.of(Verdict.PASSED)), len(report.of(Verdict.FAILED))
    return f"{passed} of {passed + failed} passed, {len(report.of(Verdict.SKIPPED))} do not apply"


def _named(capabilities: Capabilities) -> Iterator[tuple[str, Capability]]:
    yield "durable", capabilities.durable
    yield "failover", capabilities.failover
    yield "shared", capabilities.shared
    yield "hints", capabilities.hints


def _say(capability: Capability) -> str:
    answer = "yes" if capability.supported else "no"
    return f"{answer}: {capability.reason}" if capability.reason else answer


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
