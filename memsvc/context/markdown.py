"""Context as Markdown headings and lists (CommonMark)."""

from __future__ import annotations

import re
from typing import Final

from memsvc.context.form import Entry
from memsvc.context.outline import one_line, outline_branch, outline_entry
from memsvc.model import Layer, Memory

_HEADINGS = {
    Layer.POLICY: "Policies",
    Layer.PROFILE: "Profile",
    Layer.KNOWLEDGE: "Knowledge",
    Layer.FEEDBACK: "Feedback",
}
_INLINE: Final = re.compile(r"[\\`*\[\]<~]|&(?=#?\w+;)|(?<![^\W_])_|_(?![^\W_])")
_BLOCK_STARTS: Final = frozenset("#+->=")
_LIST_NUMBER: Final = re.compile(r"(\d{1,9})([.)])")


class MarkdownForm:
    """`# User memory`, a heading per layer and a list below it; shared users have a heading of their own."""

    separator = ""

    def __init__(self, omit_wrapper: bool) -> None:
        self._wrapped = not omit_wrapper

    def wrapper(self) -> tuple[str, str]:
        return ("# User memory\n" if self._wrapped else "", "")

    def shared(self, stable: bool) -> tuple[str, str]:
        return "", ""

    def shared_user(self, user_id: str) -> tuple[str, str]:
        return f"## Shared memory of {escape(one_line(user_id)).replace('#', chr(92) + '#')}\n", ""

    def layer(self, layer: Layer, shared: bool) -> tuple[str, str]:
        return f"{'###' if shared else '##'} {_HEADINGS[layer]}\n", ""

    def branch(self, path: tuple[str, ...], shared: bool) -> tuple[str, str]:
        return outline_branch(path, 0, "- ", escape)

    def entry(self, memory: Memory, shared: bool) -> Entry:
        return outline_entry(memory, 0, "- ", escape)


def escape(line: str) -> str:
    """Return a line without anything that Markdown would take for emphasis, code, a link, HTML or the start of a block.

    An underscore within a word is none, and stays as it is.
    """
    line = _INLINE.sub(_escaped, line)
    if line[:1] in _BLOCK_STARTS:
        return f"\\{line}"
    return _LIST_NUMBER.sub(r"\1\\\2", line, count=1) if _LIST_NUMBER.match(line) else line


def _escaped(match: re.Match[str]) -> str:
    character = match[0]
    if character == "<":
        return "&lt;"
    return "&amp;" if character == "&" else f"\\{character}"
