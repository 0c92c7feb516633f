"""A user's layers as one nested JSON document: keyed memories at their place, the others as lists of texts."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple, Protocol

import msgspec

from memsvc.model import Layer, Memory, Polarity

MAX_VALUE_DEPTH: Final = 32
NOTES: Final = "notes"
_LONG_NUMBER: Final = re.compile(r"\d{19}")
_RESERVED: Final = {
    layer: (NOTES, *((Polarity.POSITIVE.value, Polarity.NEGATIVE.value) if layer is Layer.FEEDBACK else ()))
    for layer in Layer
}


class Layers(Protocol):
    """Where a user's memories are read from, layer by layer."""

    def layer(self, layer: Layer) -> Mapping[str, Memory]:
        """Return the layer's visible memories by id, in the order of their numbers."""


class Place(NamedTuple):
    """Where a memory is in its layer: under `name` in the object at `path`, or, without a name, in the list there."""

    path: tuple[str, ...]
    name: str


def build_document(source: Layers, layers: Sequence[Layer]) -> dict[str, Any]:
    """Return the document of these layers, each of them present; an empty dict when none has a memory."""
    memories = {layer: source.layer(layer) for layer in layers}
    if not any(memories.values()):
        return {}
    return {layer.value: _layer_document(layer, memories[layer]) for layer in layers}


def stands_alone(memory: Memory) -> bool:
    """Tell whether a memory is shown as its text: it has no key, or it is feedback that says what worked or did not."""
    return not memory.key or (memory.layer is Layer.FEEDBACK and memory.polarity is not Polarity.NONE)


def value_of(memory: Memory) -> Any:
    """Return the value at the memory's key.

    It is the text where there is no `value_json`, and where that cannot be handed on to every reader of JSON: integers
    beyond 64 bits, numbers beyond a double, unpaired surrogates, values nested deeper than 32 levels.
    """
    value_json = memory.value_json
    if not value_json:
        return memory.text
    try:
        value = msgspec.json.decode(value_json)
        if _LONG_NUMBER.search(value_json):
            msgspec.json.encode(value)
    except (ValueError, OverflowError, RecursionError):
        return memory.text
    if value_json.count("[") + value_json.count("{") > MAX_VALUE_DEPTH and _deeper(value, MAX_VALUE_DEPTH):
        return memory.text
    return value


def place_of(memory: Memory) -> Place:
    """Return where a memory is in its layer's document.

    A key that begins with the name of a list (`notes`; in feedback also `positive` and `negative`) moves to the same
    with an underscore in front, which no key can begin with.
    """
    if stands_alone(memory):
        return Place(((memory.polarity.value if memory.layer is Layer.FEEDBACK else "") or NOTES,), "")
    *path, name = memory.key.split(".")
    reserved = _RESERVED[memory.layer]
    if path:
        if path[0] in reserved:
            path[0] = f"_{path[0]}"
    elif name in reserved:
        name = f"_{name}"
    return Place(tuple(path), name)


def _layer_document(layer: Layer, memories: Mapping[str, Memory]) -> dict[str, Any]:
    document: dict[str, Any] = {}
    lists: dict[str, list[str]] = {}
    if layer is Layer.FEEDBACK:
        lists = {Polarity.POSITIVE.value: [], Polarity.NEGATIVE.value: []}
    for memory in memories.values():
        path, name = place_of(memory)
        if not name:
            lists.setdefault(path[0], []).append(memory.text)
        elif not _put(document, path, name, value_of(memory)):
            lists.setdefault(NOTES, []).append(memory.text)
    return document | lists


def _put(document: dict[str, Any], path: tuple[str, ...], name: str, value: Any) -> bool:
    """Put a value at its place; return whether that was free."""
    node = document
    for branch in path:
        node = node.setdefault(branch, {})
        if not isinstance(node, dict):
            return False
    return node.setdefault(name, value) is value


def _deeper(value: Any, levels: int) -> bool:
    if isinstance(value, dict):
        value = list(value.values())
    return isinstance(value, list) and (not levels or any(_deeper(item, levels - 1) for item in value))
