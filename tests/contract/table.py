"""clients/README.md: what each client was seen to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tests.contract.cases import Case
from tests.contract.executor import CLIENTS
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


def page(outcomes: Sequence[Outcome]) -> str:
    """Return the page for outcomes of which none failed."""
    languages = list(dict.fromkeys(each.language for each in outcomes))
    cases = list(dict.fromkeys((each.case.group, each.case.name) for each in outcomes))
    links = ", ".join(f"[{_TITLES[each]}]({each}/README.md)" for each in languages)
    lines = [_HEAD.format(links=links)]
    for group in dict.fromkeys(group for group, _ in cases):
        lines += [
            f"| {group} | {' | '.join(_TITLES[each] for each in languages)} |",
            "| --- |" + " --- |" * len(languages),
        ]
        for name in (name for its, name in cases if its == group):
            cells = [
                _cell([each for each in outcomes if (each.case.name, each.language) == (name, it)]) for it in languages
            ]
            lines.append(f"| {name} | {' | '.join(cells)} |")
        lines.append("")
    return "\n".join(lines)


def _cell(outcomes: Sequence[Outcome]) -> str:
    """Return `yes`, with the transports where the case is about some of them; or why it is not offered."""
    if unsupported := next((each.unsupported for each in outcomes if each.unsupported), ""):
        return f"no: {unsupported}"
    seen = [each.transport for each in outcomes]
    return "yes" if len(seen) == len(TRANSPORTS) else f"yes ({', '.join(_TRANSPORTS[each] for each in seen)})"
