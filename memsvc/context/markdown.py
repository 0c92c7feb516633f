"""Context as Markdown headings and lists (CommonMark)."""

from __future__ import annotations

import re
from typing import Final

from memsvc.context.folding import one_line
from memsvc.context.outline import Outline
from memsvc.model import Layer

_HEADINGS = {
    Layer.POLICY: "Policies",
    Layer.PROFILE: "Profile",
    Layer.KNOWLEDGE: "Knowledge",
    Layer.FEEDBACK: "Feedback",
}
_ANY_MARK: Final = re.compile(r"[\\`*\[\]<~&_]")
_MARK: Final = re.compile(r"[\\`*\[\]<~]|&(?=#?\w+;)|(?<![^\W_])_|_(?![^\W_])")
_BLOCK_STARTS: Final = frozenset("#+->=")
_LIST_NUMBER: Final = re.compile(r"(\d{1,9})([.)])")


class MarkdownForm:
    """`# User memory`, a heading per layer and a list below it; shared users have a heading of their own."""

    separator = ""

    def __init__(self, wrapped: bool, shared: bool) -> None:
        self._wrapped = wrapped
        self._level = "###" if shared else "##"
        outline = Outline(0, "- ", escape)
        self.entry = outline.entry
        self.branch = outline.branch

    def wrapper(self) -> tuple[str, str]:
        return ("# User memory\n" if self._wrapped else "", "")

    def shared(self, stable: bool) -> tuple[str, str]:
        return "", ""

    def shared_user(self, user_id: str) -> tuple[str, str]:
        user = escape(one_line(user_id)).replace("#", r"\#")
        return f"## Shared memory of {user}\n", ""

    def layer(self, layer: Layer) -> tuple[str, str]:
        return f"{self._level} {_HEADINGS[layer]}\n", ""


def escape(line: str) -> str:
    """Return a line without anything that Markdown would take for emphasis, code, a link, HTML or the start of a block.

    An underscore within a word is none of these, and stays as it is.
    """
    if _ANY_MARK.search(line):
        line = _MARK.sub(_escaped, line)
    if line[:1] in _BLOCK_STARTS:
        return f"\\{line}"
    return _LIST_NUMBER.sub(r"\1\\\2", line, count=1) if _LIST_NUMBER.match(line) else line


def _escaped(match: re.Match[str]) -> str:
    character = match[0]
    if character == "<":
        return "&lt;"
    return "&amp;" if character == "&" else f"\\{character}"
