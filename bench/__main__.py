"""`python -m bench [--only NAME] [--case NAME] [--check]`: measure, print a table, write bench/results.json."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench import cost, memory, reads, start, turns, users, writes
from bench.measuring import Figure, at_most

RESULTS = Path(__file__).parent / "results.json"
SCRATCH = Path("tmp")
"""Of the checkout, not of the system: that may be RAM, where nothing is durable."""


def _search(scratch: Path) -> Iterator[Figure]:
    quality = import_module("bench.search_quality")
    for module in (quality, import_module("bench.search_speed")):
        for row in module.measure():
            yield Figure(row["name"], row["value"], row["unit"], quality.GOALS.get(row["name"]))
    yield from import_module("bench.search_served").measure(scratch)


def _drivers(scratch: Path) -> Iterator[Figure]:
    yield from import_module("bench.drivers").measure(scratch)


def _edge(scratch: Path) -> Iterator[Figure]:
    yield from import_module("bench.edge").measure(scratch)


def _cores(scratch: Path) -> Iterator[Figure]:
    yield from import_module("bench.cores").measure(scratch)


def _cluster(scratch: Path) -> Iterator[Figure]:
    yield from import_module("bench.cluster").measure(scratch)


def _extraction(scratch: Path) -> Iterator[Figure]:
    quality = import_module("bench.extraction_quality")
    goals = {
        "wrong": at_most(quality.GOAL_WRONG),
        "keyed_profile.wrong": at_most(quality.GOAL_WRONG_KEYED_PROFILE),
        "deletions.unasked": at_most(0),
        "exceptions": at_most(0),
    }
    for name, value in quality.measure().items():
        unit = "share" if isinstance(value, float) else "count"
        yield Figure(f"extraction.{name}", value, unit, goals.get(name))


def _adapters(scratch: Path) -> Iterator[Figure]:
    yield from import_module("bench.adapters").measure(scratch)


def _many(scratch: Path, case: str | None = None) -> Iterator[Figure]:
    yield from import_module("bench.many").measure(scratch, case)


PARTS: Mapping[str, Callable[[Path], Iterable[Figure]]] = {
    "cost": cost.measure,
    "reads": reads.measure,
    "writes": writes.measure,
    "turn": turns.measure,
    "users": users.measure,
    "edge": _edge,
    "cores": _cores,
    "start": start.measure,
    "memory": memory.measure,
    "search": _search,
    "extraction": _extraction,
    "drivers": _drivers,
    "adapters": _adapters,
    "many": _many,
    "cluster": _cluster,
}

ALONE = {"adapters", "many", "cluster"}
"""Measured only where it is asked for: frameworks are installed, databases filled for minutes, twelve Redis started."""

CASES: Mapping[str, Callable[[Path, str], Iterable[Figure]]] = {
    **dict.fromkeys((case.name for case in memory.CASES), memory.measure),
    **dict.fromkeys(("sqlite", "postgres", "redis", "hot_set"), _many),
}
"""What can be measured by itself of `memory` and of `many`."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Return the exit code: 1 where a goal was missed and `--check` was given."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--only", choices=PARTS, action="append", help="measure this part; can be repeated")
    parser.add_argument("--case", choices=CASES, help="of memory or many, measure this one")
    parser.add_argument("--check", action="store_true", help="exit with 1 when a goal is missed")
    options = parser.parse_args(arguments)
    console = Console(highlight=False)
    figures: list[Figure] = []
    SCRATCH.mkdir(exist_ok=True)
    parts = dict(PARTS)
    if options.case:
        parts = {options.case: lambda scratch: CASES[options.case](scratch, options.case)}
    named = [options.case] if options.case else options.only
    for part in named or (part for part in parts if part not in ALONE):
        with (
            # A sidecar that was left a moment ago still closes its files: figures are not lost for that.
            tempfile.TemporaryDirectory(dir=SCRATCH, prefix="bench-", ignore_cleanup_errors=True) as scratch,
            console.status(f"measuring {part}"),
        ):
            for figure in parts[part](Path(scratch).resolve()):
                figures.append(figure)
                console.print(f"{figure.name:<48} {figure.value:>12,.3f} {figure.unit}")
    RESULTS.write_text(json.dumps([_row(figure) for figure in figures], indent=1) + "\n")
    console.print(_table(figures))
    missed = [figure for figure in figures if figure.met is False]
    console.print(f"{len(missed)} goals missed" if missed else "all goals met")
    return 1 if missed and options.check else 0


def _row(figure: Figure) -> dict[str, Any]:
    goal = None if figure.goal is None else str(figure.goal)
    return {"name": figure.name, "value": round(figure.value, 4), "unit": figure.unit, "goal": goal, "met": figure.met}


def _table(figures: Iterable[Figure]) -> Table:
    table = Table("figure", box=None)
    for heading in ("value", "unit", "goal", "met"):
        table.add_column(heading, justify="right" if heading == "value" else "left")
    for figure in figures:
        goal = "" if figure.goal is None else str(figure.goal)
        met = {None: "", True: "[green]yes[/]", False: "[bold red]no[/]"}[figure.met]
        table.add_row(figure.name, f"{figure.value:,.3f}", figure.unit, goal, met)
    return table


if __name__ == "__main__":
    sys.exit(main())
