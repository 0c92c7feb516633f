"""What several processes have counted, as one page: each number has the label `process`.

Numbers are not added up: a sum of gauges says little, and a counter that falls because one process was started anew
would be none. Who wants the sum asks for it: `sum without (process) (...)`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from memsvc.metrics.instruments import Family, heading

Block = tuple[str, list[str]]
"""A family: its heading and its lines."""


def blocks(families: Sequence[Family], process: int) -> list[Block]:
    """Return what a process has counted."""
    return [(head, [_labelled(line, process) for line in lines]) for head, lines in map(block, families)]


def block(family: Family) -> Block:
    """Return a family of a process that is none of those told apart."""
    return heading(family), list(family.lines())


def merged(pages: Iterable[Sequence[Block]]) -> list[Block]:
    """Return the families of all pages, each once, with the lines of all."""
    families: dict[str, list[str]] = {}
    for page in pages:
        for head, lines in page:
            families.setdefault(head, []).extend(lines)
    return list(families.items())


def page(merged_blocks: Iterable[Block]) -> str:
    """Return what Prometheus reads."""
    return "\n".join(line for head, lines in merged_blocks for line in (head, *lines)) + "\n"


def _labelled(line: str, process: int) -> str:
    name, brace, rest = line.partition("{")
    if brace:
        return f'{name}{{process="{process}",{rest}'
    name, _, value = line.partition(" ")
    return f'{name}{{process="{process}"}} {value}'
