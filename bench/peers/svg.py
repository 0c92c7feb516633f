"""Line charts on logarithmic axes, as SVG: plain text that is the same for the same figures, light and dark."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final
from xml.sax.saxutils import escape

_WIDTH: Final = 300
_HEIGHT: Final = 230
_LEFT: Final = 52
_RIGHT: Final = 14
_TOP: Final = 28
_BOTTOM: Final = 42
_LEGEND_LINE: Final = 18
_LEGEND_COLUMN: Final = 220
_STYLE: Final = """
text { font: 11px system-ui, sans-serif; fill: #1f2328 }
.page { fill: #ffffff }
.title { font-weight: 600; font-size: 12px }
.frame { stroke: #8c959f; fill: none }
.grid { stroke: #d1d9e0; stroke-width: 0.5 }
.line { fill: none; stroke-width: 1.8 }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 }
  .page { fill: #0d1117 }
  .frame { stroke: #768390 }
  .grid { stroke: #3d444d }
}
"""


@dataclass(frozen=True, slots=True)
class Series:
    """One line; `points` are (x, y), both above zero."""

    title: str
    colour: str
    marker: str
    """`circle`, `square`, `triangle` or `diamond`."""
    dashes: str
    """As SVG has them: lengths of dashes and gaps; empty: none."""
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Panel:
    """One chart."""

    title: str
    x_title: str
    y_title: str
    series: Sequence[Series]


def drawn(panels: Sequence[Panel], columns: int) -> str:
    """Return the panels in as many columns, with one legend below."""
    rows = math.ceil(len(panels) / columns)
    width = columns * _WIDTH
    shown = {series.title: series for panel in panels for series in panel.series}
    per_line = max(1, width // _LEGEND_COLUMN)
    height = rows * _HEIGHT + math.ceil(len(shown) / per_line) * _LEGEND_LINE + 8
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}">',
        f"<style>{_STYLE}</style>",
        f'<rect class="page" width="{width}" height="{height}"/>',
    ]
    for number, panel in enumerate(panels):
        row, column = divmod(number, columns)
        lines.append(f'<g transform="translate({column * _WIDTH} {row * _HEIGHT})">')
        lines += _panel(panel)
        lines.append("</g>")
    for number, series in enumerate(shown.values()):
        row, column = divmod(number, per_line)
        lines += _legend(series, 16 + column * _LEGEND_COLUMN, rows * _HEIGHT + row * _LEGEND_LINE + 8)
    return "\n".join([*lines, "</svg>", ""])


@dataclass(frozen=True, slots=True)
class _Scale:
    """From values, by their logarithm, to a place on an axis."""

    low: float
    high: float
    start: float
    end: float

    @classmethod
    def of(cls, values: Sequence[float], start: float, end: float, room: float) -> _Scale:
        """Make one that holds the values, with `room` at both sides, as a share of the axis."""
        low, high = math.log10(min(values)), math.log10(max(values))
        beside = max((high - low) * room, 0.05)
        return cls(low - beside, high + beside, start, end)

    def at(self, value: float) -> float:
        share = (math.log10(value) - self.low) / (self.high - self.low)
        return round(self.start + share * (self.end - self.start), 1)

    def ticks(self) -> Iterator[float]:
        """Yield the powers of ten, with 2 and 5 between them where there are few."""
        few = self.high - self.low < 2
        for power in range(math.floor(self.low), math.ceil(self.high) + 1):
            for factor in (1, 2, 5) if few else (1,):
                if self.low <= math.log10(factor) + power <= self.high:
                    yield factor * 10.0**power


def _panel(panel: Panel) -> Iterator[str]:
    points = [point for series in panel.series for point in series.points]
    xs = sorted({x for x, _ in points})
    across = _Scale.of(xs, _LEFT, _WIDTH - _RIGHT, 0.06)
    up = _Scale.of([y for _, y in points], _HEIGHT - _BOTTOM, _TOP, 0.08)
    bottom, right = _HEIGHT - _BOTTOM, _WIDTH - _RIGHT
    yield f'<text class="title" x="{_LEFT}" y="16">{escape(panel.title)}</text>'
    for tick in up.ticks():
        yield f'<line class="grid" x1="{_LEFT}" y1="{up.at(tick)}" x2="{right}" y2="{up.at(tick)}"/>'
        yield f'<text x="{_LEFT - 5}" y="{up.at(tick) + 4}" text-anchor="end">{tick:,g}</text>'
    for x in xs:
        yield f'<line class="grid" x1="{across.at(x)}" y1="{_TOP}" x2="{across.at(x)}" y2="{bottom}"/>'
        yield f'<text x="{across.at(x)}" y="{bottom + 15}" text-anchor="middle">{x:,g}</text>'
    yield f'<rect class="frame" x="{_LEFT}" y="{_TOP}" width="{right - _LEFT}" height="{bottom - _TOP}"/>'
    yield f'<text x="{(_LEFT + right) / 2}" y="{_HEIGHT - 10}" text-anchor="middle">{escape(panel.x_title)}</text>'
    middle = (_TOP + bottom) / 2
    yield f'<text transform="translate(11 {middle}) rotate(-90)" text-anchor="middle">{escape(panel.y_title)}</text>'
    for series in panel.series:
        places = [(across.at(x), up.at(y)) for x, y in series.points]
        yield from _line(series, places)


def _line(series: Series, places: Sequence[tuple[float, float]]) -> Iterator[str]:
    listed = " ".join(f"{x},{y}" for x, y in places)
    yield f'<polyline class="line" stroke="{series.colour}" stroke-dasharray="{series.dashes}" points="{listed}"/>'
    for x, y in places:
        yield _marker(series, x, y)


def _marker(series: Series, x: float, y: float) -> str:
    corners = {
        "square": ((-3.5, -3.5), (3.5, -3.5), (3.5, 3.5), (-3.5, 3.5)),
        "triangle": ((0, -4.5), (4.5, 3.5), (-4.5, 3.5)),
        "diamond": ((0, -5), (5, 0), (0, 5), (-5, 0)),
    }
    if series.marker == "circle":
        return f'<circle cx="{x}" cy="{y}" r="3.8" fill="{series.colour}"/>'
    listed = " ".join(f"{x + right:.1f},{y + down:.1f}" for right, down in corners[series.marker])
    return f'<polygon points="{listed}" fill="{series.colour}"/>'


def _legend(series: Series, x: float, y: float) -> Iterator[str]:
    yield from _line(series, [(x, y), (x + 28, y)])
    yield f'<text x="{x + 38}" y="{y + 4}">{escape(series.title)}</text>'
