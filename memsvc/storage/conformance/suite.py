"""All tests, by theme: every coroutine function of a theme's module whose name starts with `test_`."""

from __future__ import annotations

import fnmatch
import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from memsvc.errors import invalid
from memsvc.storage.conformance import (
    append,
    broken_connections,
    cancelling,
    clocks,
    due_and_users,
    erasing,
    full_disk,
    lifecycle,
    migrations,
    moving,
    names,
    network,
    racing,
    reading,
    rows,
    sharing,
    truncation,
    values,
)
from memsvc.storage.conformance.store import Store

_THEMES = (
    *(append, racing, cancelling, rows, reading, names, values),
    *(due_and_users, truncation, erasing, moving, sharing, clocks, lifecycle, migrations, full_disk),
    *(network, broken_connections),
)


@dataclass(frozen=True, slots=True)
class Case:
    """One test of the suite."""

    theme: str
    name: str
    function: Callable[[Store], Awaitable[None]]

    @property
    def contract(self) -> str:
        """The line of the driver contract that the test holds."""
        return inspect.getdoc(self.function) or ""


def cases(*select: str) -> list[Case]:
    """Return the tests whose `theme.name` contains one of these texts, or matches it as a pattern; all if none.

    Raises InvalidArgument for a text that selects none.
    """
    found = [
        Case(module.__name__.rpartition(".")[2], name, function)
        for module in _THEMES
        for name, function in vars(module).items()
        if name.startswith("test_") and inspect.iscoroutinefunction(function)
    ]
    for pattern in select:
        if not any(_matches(case, pattern) for case in found):
            raise invalid("select", f"no test matches {pattern!r}")
    return [case for case in found if not select or any(_matches(case, pattern) for pattern in select)]


def _matches(case: Case, pattern: str) -> bool:
    name = f"{case.theme}.{case.name}"
    return pattern in name or fnmatch.fnmatchcase(name, pattern)
