"""Writes the figures into docs/performance.md, and its plots beside it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from bench.environments import ROOT
from bench.peers.peer import Operation
from bench.peers.results import LEFT_OUT, Results, Row
from bench.peers.subjects import SUBJECTS, Subject
from bench.peers.svg import Panel, Series, drawn

PAGE: Final = ROOT / "docs" / "performance.md"
PLOTS: Final = ROOT / "docs" / "performance"
_SIZES: Final = (100, 1_000, 10_000)
_WRITERS: Final = (1, 4, 16)
_CALLS: Final = {
    Operation.GET: "get",
    Operation.LIST: "list 20",
    Operation.SEARCH: "search",
    Operation.CONTEXT: "context",
    Operation.ADD: "add",
}
# Okabe and Ito's colours, which the colour-blind tell apart; markers say the same.
_LOOKS: Final = {
    "memsvc": ("#0072b2", "circle"),
    "agno": ("#e69f00", "square"),
    "langgraph": ("#009e73", "triangle"),
    "mem0": ("#cc79a7", "diamond"),
}
_DASHES: Final = {"sqlite": "", "qdrant": "", "postgres": "5 3"}


def write(results: Results) -> None:
    """Write the page and its plots."""
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8"), results), encoding="utf-8")
    for name, plot in plots(results).items():
        (PLOTS / name).write_text(plot, encoding="utf-8")


def written(text: str, results: Results) -> str:
    """Return the page, with what lies between its markers anew."""
    for name, table in {"machine": _machine, "calls": _calls, "turn": _turn, "writers": _writers}.items():
        text = _replaced(text, name, "\n".join(table(results)))
    return text


def plots(results: Results) -> Mapping[str, str]:
    """Return the plots, by the names of their files."""
    return {
        "calls.svg": drawn(_call_panels(results), columns=3),
        "turn.svg": drawn(_turn_panels(results), columns=2),
        "writers.svg": drawn(_writer_panels(results), columns=1),
    }


def _replaced(text: str, name: str, block: str) -> str:
    start, end = f"<!-- {name}: written by make bench-peers -->\n", f"<!-- end of {name} -->\n"
    pattern = re.compile(f"{re.escape(start)}.*?{re.escape(end)}", re.DOTALL)
    if not pattern.search(text):
        raise ValueError(f"{PAGE.name} has no place for {name}")
    return pattern.sub(lambda _: f"{start}{block}\n{end}", text)


def _machine(results: Results) -> Iterator[str]:
    cores, load, *servers = results.machine.items()
    versions = ", ".join(f"{name} {version}" for name, version in servers)
    yield f"{cores[1]} cores, {versions}. Before it began the machine's load was {load[1]:.1f}."
    yield ""
    yield "| | versions | a write has returned when it is | measured |"
    yield "| --- | --- | --- | --- |"
    for subject in _known(results):
        known = results.subjects[subject.key]
        versions = ", ".join(f"{name} {version}" for name, version in known.versions.items())
        yield f"| {subject.title} | {versions} | {known.durability} | {known.measured} |"


def _calls(results: Results) -> Iterator[str]:
    measured = {row.memories for row in results.rows}
    for size in filter(measured.__contains__, _SIZES):
        yield f"{size:,} memories:"
        yield ""
        yield f"| ms (times memsvc) | {' | '.join(_CALLS.values())} |"
        yield f"| --- | {' | '.join('---' for _ in _CALLS)} |"
        for subject in _known(results):
            rows = [results.row(subject.key, operation, size) for operation in _CALLS]
            if any(rows):
                yield f"| {subject.title} | {' | '.join(_cell(row, subject) for row in rows)} |"
        yield ""
    for row in results.rows:
        if row.operation == LEFT_OUT:
            title = next(subject.title for subject in SUBJECTS if subject.key == row.subject)
            yield f"{title} with {row.memories:,} memories is left out: filling it would take {row.seconds:,.0f} s."
            yield ""
    if echoes := [row.seconds for row in results.rows if row.operation == Operation.ECHO]:
        yield f"A bare gRPC call from the same Python library to the same socket took {_number(min(echoes) * 1e3)} ms."


def _turn(results: Results) -> Iterator[str]:
    yield (
        "| | added, 100 memories | 1,000 | 10,000 | model calls waited for | model calls later | "
        "sent to the model, 100 memories | 1,000 | 10,000 |"
    )
    yield f"|{' --- |' * 9}"
    for subject in _known(results):
        rows = [results.row(subject.key, Operation.TURN, size) for size in _SIZES]
        calls = next((row for row in rows if row), None)
        if calls is None:
            continue
        added = " | ".join(_cell(row, subject) for row in rows)
        sent = " | ".join(f"{_number(row.model_kilobytes)} KB" if row else "" for row in rows)
        asked = f"{calls.model_calls_waited_for:.3g} | {calls.model_calls_later:.3g}"
        yield f"| {subject.title} | {added} | {asked} | {sent} |"


def _writers(results: Results) -> Iterator[str]:
    yield f"| writes a second (times memsvc) | {' | '.join(f'{count} at once' for count in _WRITERS)} |"
    yield f"| --- |{' --- |' * len(_WRITERS)}"
    for subject in _known(results):
        rows = [results.row(subject.key, "write", 1_000, writers) for writers in _WRITERS]
        if any(rows):
            yield f"| {subject.title} | {' | '.join(_rate(row, subject) for row in rows)} |"


def _known(results: Results) -> Sequence[Subject]:
    return [subject for subject in SUBJECTS if subject.key in results.subjects]


def _cell(row: Row | None, subject: Subject) -> str:
    if row is None:
        return "not measured"
    return f"{_number(row.seconds * 1e3)}{_times(row, subject)}"


def _rate(row: Row | None, subject: Subject) -> str:
    if row is None:
        return "not measured"
    failed = f", {row.failed:,} failed" if row.failed else ""
    return f"{_number(row.rate)}{_times(row, subject)}{failed}"


def _times(row: Row, subject: Subject) -> str:
    return f" ({_number(row.times_memsvc)})" if subject.key != subject.base and row.times_memsvc else ""


def _number(value: float) -> str:
    """Return two or three digits, and no exponent."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}" if abs(value) >= 10 else f"{value:.2g}"


def _call_panels(results: Results) -> Sequence[Panel]:
    return [
        _by_memories(results, title, operation, "ms a call", lambda row: row.seconds * 1e3)
        for operation, title in _CALLS.items()
    ]


def _turn_panels(results: Results) -> Sequence[Panel]:
    return [
        _by_memories(results, "what memory adds to a turn", Operation.TURN, "ms", lambda row: row.seconds * 1e3),
        _by_memories(results, "sent to the model in a turn", Operation.TURN, "KB", lambda row: row.model_kilobytes),
    ]


def _by_memories(results: Results, title: str, operation: Operation, unit: str, value: Callable[[Row], float]) -> Panel:
    def points(subject: Subject) -> Iterator[tuple[float, float]]:
        for size in _SIZES:
            row = results.row(subject.key, operation, size)
            if row is not None and value(row) > 0:
                yield size, value(row)

    return Panel(title, "memories of the user", unit, _series(results, points))


def _writer_panels(results: Results) -> Sequence[Panel]:
    def points(subject: Subject) -> Iterator[tuple[float, float]]:
        for writers in _WRITERS:
            row = results.row(subject.key, "write", 1_000, writers)
            if row is not None and row.rate > 0:
                yield writers, row.rate

    return [Panel("adds by writers", "threads that add at once", "adds a second", _series(results, points))]


def _series(results: Results, points: Callable[[Subject], Iterator[tuple[float, float]]]) -> Sequence[Series]:
    drawn_ones = []
    for subject in _known(results):
        colour, marker = _LOOKS[subject.peer]
        dashes = "1.5 3" if subject.over_tcp else _DASHES[subject.database]
        if found := list(points(subject)):
            drawn_ones.append(Series(subject.title, colour, marker, dashes, found))
    return drawn_ones
