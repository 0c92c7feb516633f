"""Figures with their goals, and how two are compared on a machine that others use too."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, slots=True)
class Goal:
    """A bound that a figure has to keep."""

    bound: float
    at_least: bool = False

    def met_by(self, value: float) -> bool:
        return value >= self.bound if self.at_least else value <= self.bound

    def __str__(self) -> str:
        return f"{'>=' if self.at_least else '<='} {self.bound:g}"


def at_least(bound: float) -> Goal:
    return Goal(bound, at_least=True)


def at_most(bound: float) -> Goal:
    return Goal(bound)


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the result."""

    name: str
    value: float
    unit: str
    goal: Goal | None = None

    @property
    def met(self) -> bool | None:
        """Whether the goal is kept; None where there is none."""
        return None if self.goal is None else self.goal.met_by(self.value)


def median_ratio(values: Sequence[float], bases: Sequence[float]) -> float:
    """Return the median of each value divided by the one measured right beside it.

    A neighbour that takes the processor for a while slows both of a pair; the pairs it splits are outvoted.
    """
    return median(value / base for value, base in zip(values, bases, strict=True))
