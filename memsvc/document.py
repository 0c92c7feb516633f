"""A user's layers as one nested JSON document: keyed memories at their place, the others as lists of texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

import msgspec

from memsvc.model import Layer, Memory, Polarity

MAX_VALUE_DEPTH: Final = 32
NOTES: Final = "notes"
_FEEDBACK: Final = Layer.FEEDBACK
_NONE: Final = Polarity.NONE
_POLARITIES: Final = (Polarity.POSITIVE, Polarity.NEGATIVE)


class Layers(Protocol):
    """Where a user's memories are read from, layer by layer."""

    def layer(self, layer: Layer) -> Mapping[str, Memory]:
        """Return the layer's visible memories by id, in the order of their numbers."""


def build_document(source: Layers, layers: Sequence[Layer]) -> dict[str, Any]:
    """Return the document of these layers, each of them present; an empty dict when none has a memory."""
    memories = {layer: source.layer(layer) for layer in layers}
    if not any(memories.values()):
        return {}
    return {layer.value: _layer_document(layer, memories[layer]) for layer in layers}


def polarity_of(memory: Memory) -> Polarity | None:
    """Return in which list of its layer a memory's text is; None when it has a place of its own, by its key.

    Feedback that says what worked, or did not, is in a list even where it has a key.
    """
    if memory.layer is _FEEDBACK and memory.polarity:
        return memory.polarity
    return None if memory.key else _NONE


def list_of(polarity: Polarity) -> str:
    """Return the name of the list of texts with this polarity."""
    return polarity.value or NOTES


def place_of(memory: Memory) -> tuple[tuple[str, ...], str]:
    """Return where a memory with a key is: under which name, in the object at which path of its layer's document.

    A key that begins with the name of a list moves to the same with an underscore in front, which no key begins with.
    """
    *path, name = memory.key.split(".")
    first = path[0] if path else name
    if first == NOTES or (memory.layer is Layer.FEEDBACK and first in _POLARITIES):
        if path:
            path[0] = f"_{first}"
        else:
            name = f"_{first}"
    return tuple(path), name


def value_of(memory: Memory) -> Any:
    """Return the value at the memory's key.

    It is the text where there is no `value_json`, and where that cannot be handed on to every reader of JSON: numbers
    beyond a double, unpaired surrogates, values nested deeper than 32 levels.
    """
    value_json = memory.value_json
    if not value_json:
        return memory.text
    try:
        value = msgspec.json.decode(value_json)
    except (ValueError, RecursionError):
        return memory.text
    if value_json.count("[") + value_json.count("{") > MAX_VALUE_DEPTH and _deeper(value, MAX_VALUE_DEPTH):
        return memory.text
    return value


def _layer_document(layer: Layer, memories: Mapping[str, Memory]) -> dict[str, Any]:
    document: dict[str, Any] = {}
    lists: dict[str, list[str]] = {}
    if layer is Layer.FEEDBACK:
        lists = {list_of(polarity): [] for polarity in _POLARITIES}
    for memory in memories.values():
        polarity = polarity_of(memory)
        if polarity is None and _put(document, memory):
            continue
        lists.setdefault(list_of(polarity or Polarity.NONE), []).append(memory.text)
    return document | lists


def _put(document: dict[str, Any], memory: Memory) -> bool:
    """Put a value at its place; return whether that was free, as the rules of keys ensure."""
    path, name = place_of(memory)
    node = document
    for branch in path:
        node = node.setdefault(branch, {})
        if not isinstance(node, dict):
            return False
    if name in node:
        return False
    node[name] = value_of(memory)
    return True


def _deeper(value: Any, levels: int) -> bool:
    if isinstance(value, dict):
        value = list(value.values())
    return isinstance(value, list) and (not levels or any(_deeper(item, levels - 1) for item in value))
