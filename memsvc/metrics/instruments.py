"""Counters, gauges and histograms, and how they are written for Prometheus (text format 0.0.4).

A call in the hot path adds to a cell that it holds: no look-up by labels, no lock, as all run in one event loop. What
the server knows anyhow is asked for when somebody looks, and costs nothing before.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, Literal, TypeAlias

Labels: TypeAlias = tuple[str, ...]
Values: TypeAlias = Mapping[Labels, float]

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
SECONDS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""From a read out of RAM to the default deadline."""
MINUTES: Final = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
"""What a model takes."""
MAX_SERIES: Final = 1_000
"""A family with more label values than that was made by mistake: further ones are not kept."""


class Cell:
    """One number that goes up, or up and down."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0.0

    def add(self, amount: float = 1.0) -> None:
        self.value += amount


class Distribution:
    """How often a value fell into which range."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value


class Counts:
    """A family of numbers by labels. `kind` is what Prometheus calls it."""

    def __init__(
        self, name: str, help_text: str, labels: Sequence[str] = (), kind: Literal["counter", "gauge"] = "counter"
    ) -> None:
        self.name, self.help_text, self.labels = name, help_text, labels
        self.kind: str = kind
        self._cells: dict[Labels, Cell] = {}

    def cell(self, *labels: str) -> Cell:
        """Return the number for these labels."""
        cell = self._cells.get(labels)
        if cell is None:
            cell = Cell()
            if len(self._cells) < MAX_SERIES:
                self._cells[labels] = cell
        return cell

    def lines(self) -> Iterator[str]:
        for labels, cell in self._cells.items():
            yield _line(self.name, self.labels, labels, cell.value)


class Distributions:
    """A family of histograms by labels."""

    kind = "histogram"

    def __init__(
        self, name: str, help_text: str, labels: Sequence[str] = (), bounds: Sequence[float] = SECONDS
    ) -> None:
        self.name, self.help_text, self.labels = name, help_text, labels
        self._bounds = bounds
        self._cells: dict[Labels, Distribution] = {}

    def cell(self, *labels: str) -> Distribution:
        """Return the histogram for these labels."""
        cell = self._cells.get(labels)
        if cell is None:
            cell = Distribution(self._bounds)
            if len(self._cells) < MAX_SERIES:
                self._cells[labels] = cell
        return cell

    def lines(self) -> Iterator[str]:
        for labels, cell in self._cells.items():
            if labels and not any(cell.counts):
                # Every method has one: the page would be mostly zeros.
                continue
            count = 0
            for bound, held in zip((*map(_number, self._bounds), "+Inf"), cell.counts, strict=True):
                count += held
                yield _line(f"{self.name}_bucket", (*self.labels, "le"), (*labels, bound), count)
            yield _line(f"{self.name}_sum", self.labels, labels, cell.total)
            yield _line(f"{self.name}_count", self.labels, labels, count)


class Asked:
    """A family whose numbers are asked for when somebody looks."""

    def __init__(
        self,
        name: str,
        help_text: str,
        ask: Callable[[], float | Values],
        labels: Sequence[str] = (),
        kind: Literal["counter", "gauge"] = "gauge",
    ) -> None:
        self.name, self.help_text, self.labels = name, help_text, labels
        self.kind: str = kind
        self._ask = ask

    def lines(self) -> Iterator[str]:
        answer = self._ask()
        for labels, value in (answer if isinstance(answer, Mapping) else {(): answer}).items():
            yield _line(self.name, self.labels, labels, value)


Family: TypeAlias = Counts | Distributions | Asked


def exposition(families: Sequence[Family]) -> str:
    """Return what Prometheus reads."""
    lines = []
    for family in families:
        lines.append(heading(family))
        lines.extend(family.lines())
    return "\n".join((*lines, ""))


def heading(family: Family) -> str:
    """Return the two lines that come before those of a family."""
    return f"# HELP {family.name} {_escaped(family.help_text)}\n# TYPE {family.name} {family.kind}"


def _line(name: str, names: Sequence[str], labels: Labels, value: float) -> str:
    shown = ",".join(f'{key}="{_quoted(label)}"' for key, label in zip(names, labels, strict=True))
    return f"{name}{{{shown}}} {_number(value)}" if shown else f"{name} {_number(value)}"


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(float(value))


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n")


def _quoted(text: str) -> str:
    return _escaped(text).replace('"', '\\"')
