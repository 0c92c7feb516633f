"""Memories as indented lines of `key: value`: what XML and Markdown have in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec

from memsvc.context.folding import REPLACEMENT, one_line
from memsvc.context.form import RANKS, Entry
from memsvc.document import polarity_of, value_of
from memsvc.model import Memory, Polarity
from memsvc.periods import shown_validity

_BRANCHES: Final[dict[Polarity, tuple[str, ...]]] = {
    Polarity.NONE: (),
    Polarity.POSITIVE: ("what worked",),
    Polarity.NEGATIVE: ("what did not work",),
}
"""Their names have spaces, so that no key is the same."""


class Outline:
    """Writes memories as lines at `depth` or deeper; `escape` gets what follows the bullet."""

    def __init__(self, depth: int, bullet: str, escape: Callable[[str], str]) -> None:
        self._depth = depth
        self._bullet = bullet
        self._escape = escape
        self._lists = {
            polarity: (RANKS[polarity], path, self._start(len(path))) for polarity, path in _BRANCHES.items()
        }

    def entry(self, memory: Memory) -> Entry:
        """Return a memory as it is written."""
        polarity = polarity_of(memory)
        if polarity is not None:
            rank, path, start = self._lists[polarity]
            line = self._escape(f"{one_line(memory.text) or REPLACEMENT}{_validity(memory)}")
            return Entry(memory.memory_id, rank + memory.number, path, f"{start}{line}\n")
        *branches, name = memory.key.split(".")
        lines = _value_lines(name, value_of(memory), len(branches))
        if validity := _validity(memory):
            # What has several lines is dated in the first one.
            level, first = lines[0]
            lines[0] = level, f"{first}{validity}"
        text = "".join([f"{self._start(level)}{self._escape(line)}\n" for level, line in lines])
        return Entry(memory.memory_id, memory.number, tuple(branches), text)

    def branch(self, path: tuple[str, ...]) -> tuple[str, str]:
        """Return the line above what is in a branch."""
        return f"{self._start(len(path) - 1)}{self._escape(_label(path[-1]))}:\n", ""

    def _start(self, level: int) -> str:
        return "  " * (self._depth + level) + self._bullet


def _validity(memory: Memory) -> str:
    """Return when a memory holds, to stand behind it; empty where that is not known."""
    shown = shown_validity(memory) if memory.valid_from or memory.valid_to else ""
    return f" ({shown})" if shown else ""


def _value_lines(name: str, value: Any, level: int) -> list[tuple[int, str]]:
    if not value or not isinstance(value, dict):
        return [(level, f"{_label(name)}: {_inline(value)}")]
    lines = [(level, f"{_label(name)}:")]
    for key, item in value.items():
        lines += _value_lines(key, item, level + 1)
    return lines


def _inline(value: Any) -> str:
    if isinstance(value, str):
        return one_line(value) or '""'
    if isinstance(value, list) and value:
        return ", ".join(map(_element, value))
    return _json(value)


def _element(value: Any) -> str:
    """Return an element of a list, as a JSON string where it could be taken for two, or for something else."""
    if not isinstance(value, str):
        return one_line(_json(value))
    line = one_line(value)
    return _json(line) if not line or "," in line or line[0] in '"[{' else line


def _label(name: str) -> str:
    """Return a key, as a JSON string where its end could be taken to be elsewhere."""
    if name.isidentifier():
        return name
    line = one_line(name)
    return _json(line) if not line or ":" in line or line[0] == '"' else line


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
