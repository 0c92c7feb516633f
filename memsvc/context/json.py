"""Context as one JSON object with the layers of the user's document."""

from __future__ import annotations

import json
import re
from typing import Any, Final

from memsvc.context.form import RANKS, Entry
from memsvc.document import list_of, place_of, polarity_of, value_of
from memsvc.invisible import DEFAULT_IGNORABLE, JOINING, hides
from memsvc.model import Layer, Memory, Polarity
from memsvc.periods import shown_validity

_LIST: Final = "[]"
"""Marks a branch that is a list; no key has it in its name."""
_LISTS: Final = {polarity: (list_of(polarity) + _LIST,) for polarity in Polarity}
_UNSAFE: Final = re.compile(
    "[\x7f-\x9f\u2028\u2029\ud800-\udfff\ufff9-\ufffb\ufffe\uffff]"
    f"|(?![{JOINING}])[{DEFAULT_IGNORABLE}]"
    # A character needs one that says how it looks and one that joins it, in this order; more only hide something.
    f"|(?<=[\u200c\u200d])[{JOINING}]|(?<=[{JOINING}])(?![\u200c\u200d])[{JOINING}]"
    "|<(?=[a-zA-Z/!?])"
)
_encode: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


class JsonForm:
    """`{"user_memory": {...}}` around an object per layer, a line each.

    Shared users are under "shared", in what depends on the query under "shared_nearest".
    """

    separator = ","

    def __init__(self, wrapped: bool, shared: bool) -> None:
        self._wrapped = wrapped
        self._indent = "      " if shared else "  "

    def wrapper(self) -> tuple[str, str]:
        return ('{"user_memory":{', "\n}}\n") if self._wrapped else ("{", "\n}\n")

    def shared(self, stable: bool) -> tuple[str, str]:
        return f'\n  "{"shared" if stable else "shared_nearest"}":{{', "\n  }"

    def shared_user(self, user_id: str) -> tuple[str, str]:
        return f"\n    {encode(user_id)}:{{", "\n    }"

    def layer(self, layer: Layer) -> tuple[str, str]:
        return f'\n{self._indent}"{layer.value}":{{', "}"

    def branch(self, path: tuple[str, ...]) -> tuple[str, str]:
        name = path[-1].removesuffix(_LIST)
        opening, closing = "{}" if name == path[-1] else "[]"
        return f"{encode(name)}:{opening}", closing

    def entry(self, memory: Memory) -> Entry:
        polarity = polarity_of(memory)
        if polarity is not None:
            order = RANKS[polarity] + memory.number
            return Entry(memory.memory_id, order, _LISTS[polarity], encode(_dated(memory, memory.text)))
        path, name = place_of(memory)
        value = _dated(memory, value_of(memory))
        return Entry(memory.memory_id, memory.number, path, f"{encode(name)}:{encode(value)}")


def _dated(memory: Memory, value: Any) -> Any:
    """Return a text with when it holds, where that is known; other values as they are."""
    if not isinstance(value, str) or not (memory.valid_from or memory.valid_to):
        return value
    shown = shown_validity(memory)
    return f"{value} ({shown})" if shown else value


def encode(value: Any) -> str:
    """Return a value as JSON on one line, without a tag or an invisible character in it. What it means is unchanged.

    (Except that half a surrogate pair, which is no text, becomes U+FFFD.)
    """
    text = _encode(value)
    if not hides(text) and "<" not in text:
        return text
    return _UNSAFE.sub(_escaped, text)


def _escaped(match: re.Match[str]) -> str:
    code = ord(match[0])
    if 0xD800 <= code <= 0xDFFF:
        return "\\ufffd"
    if code > 0xFFFF:
        code -= 0x10000
        return f"\\u{0xD800 + (code >> 10):04x}\\u{0xDC00 + (code & 0x3FF):04x}"
    return f"\\u{code:04x}"
