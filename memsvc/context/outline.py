"""Memories as indented lines of `key: value`: what XML and Markdown have in common."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, Final

import msgspec

from memsvc.context.form import Entry, order_of
from memsvc.document import stands_alone, value_of
from memsvc.model import Layer, Memory, Polarity

POLARITY_LABELS: Final = {Polarity.POSITIVE: "what worked", Polarity.NEGATIVE: "what did not work"}
"""With spaces, so that no key is the same."""

_INVISIBLE: Final = re.compile(
    "[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f"  # controls that are not white space
    "\u00ad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)
_NO_CHARACTER: Final = re.compile("[\ud800-\udfff\ufffe\uffff]")
_REPLACEMENT: Final = "\ufffd"


def one_line(text: str) -> str:
    """Return `text` as one line that shows all that it says.

    White space at the ends is dropped. Unless every character is printable, runs of white space (line and paragraph
    separators are some) become one space, what a reader does not see is dropped (controls, bidirectional marks and
    overrides, zero-width spaces and tags, but not the joiners that emoji and scripts need), and what is no character
    becomes U+FFFD, as does a text of which nothing is left.
    """
    if text.isprintable():
        return text.strip()
    return " ".join(_NO_CHARACTER.sub(_REPLACEMENT, _INVISIBLE.sub("", text)).split()) or _REPLACEMENT


def outline_entry(memory: Memory, depth: int, bullet: str, escape: Callable[[str], str]) -> Entry:
    """Return a memory as lines, each indented by its depth below `depth`; `escape` is given what follows the bullet."""
    if stands_alone(memory):
        label = POLARITY_LABELS.get(memory.polarity) if memory.layer is Layer.FEEDBACK else None
        path: tuple[str, ...] = (label,) if label else ()
        indent = "  " * (depth + len(path))
        text = f"{indent}{bullet}{escape(one_line(memory.text) or _REPLACEMENT)}\n"
        return Entry(memory.memory_id, order_of(memory), path, text)
    *branches, name = memory.key.split(".")
    lines = [
        f"{'  ' * level}{bullet}{escape(line)}\n"
        for level, line in _value_lines(name, value_of(memory), depth + len(branches))
    ]
    return Entry(memory.memory_id, order_of(memory), tuple(branches), "".join(lines))


def outline_branch(path: tuple[str, ...], depth: int, bullet: str, escape: Callable[[str], str]) -> tuple[str, str]:
    """Return the line that opens a branch."""
    return f"{'  ' * (depth + len(path) - 1)}{bullet}{escape(_label(path[-1]))}:\n", ""


def _value_lines(name: str, value: Any, depth: int) -> Iterator[tuple[int, str]]:
    if isinstance(value, dict) and value:
        yield depth, f"{_label(name)}:"
        for key, item in value.items():
            yield from _value_lines(key, item, depth + 1)
    else:
        yield depth, f"{_label(name)}: {_inline(value)}"


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
    line = one_line(name)
    return _json(line) if not line or ":" in line or line[0] == '"' else line


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
