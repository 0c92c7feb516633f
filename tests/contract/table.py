"""clients/README.md: what each client was seen to do."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from tests.contract.cases import Case, cases
from tests.contract.executor import CLIENTS, languages
from tests.contract.world import TRANSPORTS

PAGE = CLIENTS / "README.md"
_TITLES = {"go": "Go", "java": "Java", "python": "Python", "typescript": "TypeScript"}
_TRANSPORTS = {"unix": "socket", "tcp": "TCP", "tls": "TLS"}
_HEAD = """\
# Clients

{links}.

What each was seen to do, over a unix socket, TCP, and TLS with a token: the cases of [contract](contract/README.md),
run against a live server. Generated: `python -m tests.contract --table`.
"""


@dataclass(slots=True)
class Outcome:
    """What came of one case, with one language over one transport."""

    case: Case
    language: str
    transport: str
    failure: str = ""
    unsupported: str = ""
    """Why the client does not offer it; empty: it does."""


def page(outcomes: Sequence[Outcome], before: str) -> str:
    """Return the page for outcomes of which none failed; columns of languages that were not run stay as `before`."""
    cells = {**_cells(before), **_seen(outcomes)}
    there = [each for each in languages() if any(language == each for _, language in cells)]
    links = ", ".join(f"[{_TITLES[each]}]({each}/README.md)" for each in there)
    lines = [_HEAD.format(links=links)]
    by_group = itertools.groupby(cases(), key=lambda case: case.group)
    for group, its in by_group:
        lines += [f"| {group} | {' | '.join(_TITLES[each] for each in there)} |", "| --- |" + " --- |" * len(there)]
        for case in its:
            row = " | ".join(cells.get((case.name, each), "not run") for each in there)
            lines.append(f"| {case.name} | {row} |")
        lines.append("")
    return "\n".join(lines)


def _seen(outcomes: Sequence[Outcome]) -> dict[tuple[str, str], str]:
    """Return what is to be said of each case in each language."""
    together: dict[tuple[str, str], list[Outcome]] = {}
    for each in outcomes:
        together.setdefault((each.case.name, each.language), []).append(each)
    return {key: _cell(its) for key, its in together.items()}


def _cells(page: str) -> dict[tuple[str, str], str]:
    """Return what a page says of each case in each language."""
    names = {title: language for language, title in _TITLES.items()}
    cells: dict[tuple[str, str], str] = {}
    columns: list[str] = []
    for line in page.splitlines():
        first, *rest = [each.strip() for each in line.strip("|").split("|")]
        if rest and all(each in names for each in rest):
            columns = [names[each] for each in rest]
        elif len(rest) == len(columns):
            cells |= {(first, language): each for language, each in zip(columns, rest, strict=True)}
    return cells


def _cell(outcomes: Sequence[Outcome]) -> str:
    """Return `yes`, with the transports where the case is about some of them; or why it is not offered."""
    if unsupported := next((each.unsupported for each in outcomes if each.unsupported), ""):
        return f"no: {unsupported}"
    seen = [each.transport for each in outcomes]
    return "yes" if len(seen) == len(TRANSPORTS) else f"yes ({', '.join(_TRANSPORTS[each] for each in seen)})"
