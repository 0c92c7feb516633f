"""The operations of one conversation, each once: later statements win, lists grow, what is known stays out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from memsvc.extraction.engine import Action, Operation
from memsvc.extraction.schemas import is_list_key, list_text
from memsvc.model import Memory

_Place = tuple[str, ...]


class Gathering:
    """Collects operations in the order of the conversation."""

    def __init__(self, known: Sequence[Memory]) -> None:
        self._known = known
        self._keyed = {(memory.layer, memory.key): memory for memory in known if memory.key}
        self._texts = {(memory.layer, normalised(memory.text)): memory for memory in known}
        self._pending: dict[_Place, Operation] = {}

    def add(self, operation: Operation) -> Operation | None:
        """Take an operation in; return it as it now stands, or None when it says nothing new."""
        if operation.action is Action.DELETE:
            return self._delete(operation)
        if operation.key:
            return self._add_keyed(operation)
        return self._add_text(operation)

    def operations(self) -> tuple[Operation, ...]:
        """Return what was gathered, in order."""
        return tuple(self._pending.values())

    def _add_keyed(self, operation: Operation) -> Operation | None:
        place = ("key", operation.layer, operation.key)
        earlier, known = self._pending.pop(place, None), self._keyed.get((operation.layer, operation.key))
        if known and ("number", str(known.number)) in self._pending:
            known = None
        if is_list_key(operation.layer, operation.key):
            return self._grow(operation, earlier, known, place)
        if known and _value(known.value_json or known.text) == _value(operation.value_json):
            return None
        self._pending[place] = operation
        return operation

    def _grow(
        self, operation: Operation, earlier: Operation | None, known: Memory | None, place: _Place
    ) -> Operation | None:
        held = (
            elements(earlier.value_json)
            if earlier and earlier.action is Action.ADD
            else elements(known.value_json if known else "")
        )
        values = united(held, elements(operation.value_json))
        if earlier and len(values) == len(held):
            self._pending[place] = earlier
            return None
        if known and not earlier and len(values) == len(held):
            return None
        grown = msgspec.structs.replace(
            operation,
            text=list_text(operation.layer, operation.key, values),
            value_json=msgspec.json.encode(values).decode(),
        )
        self._pending[place] = grown
        return grown

    def _add_text(self, operation: Operation) -> Operation | None:
        text = normalised(operation.text)
        place = ("text", operation.layer, text)
        self._withdraw_opposite(operation)
        if place in self._pending or (operation.layer, text) in self._texts:
            return None
        self._pending[place] = operation
        return operation

    def _withdraw_opposite(self, operation: Operation) -> None:
        """Let "Dislikes sushi" take back "Likes sushi", said earlier or known."""
        for mine, other in _OPPOSITES:
            if operation.text.startswith(mine):
                opposite = normalised(other + operation.text[len(mine) :])
                self._pending.pop(("text", operation.layer, opposite), None)
                known = self._texts.get((operation.layer, opposite))
                if known:
                    self._delete(
                        Operation(
                            action=Action.DELETE,
                            layer=known.layer,
                            number=known.number,
                            quote=operation.quote,
                            message_index=operation.message_index,
                        )
                    )

    def _delete(self, operation: Operation) -> Operation | None:
        place: _Place
        if operation.number:
            place = ("number", str(operation.number))
        elif operation.key:
            place = ("key", operation.layer, operation.key)
            known = self._keyed.get((operation.layer, operation.key))
            if known and operation.value_json and not same_value(known.value_json or known.text, operation.value_json):
                return None
            earlier = self._pending.pop(place, None)
            operation = msgspec.structs.replace(operation, number=known.number if known else 0, value_json="")
            if earlier and earlier.action is Action.DELETE:
                operation = earlier
        elif operation.topic:
            place = ("topic", operation.layer, operation.topic)
        else:
            self._pending.pop(("text", operation.layer, normalised(operation.text)), None)
            return None
        if self._pending.get(place) == operation:
            return None
        self._pending[place] = operation
        return operation


def normalised(text: str) -> str:
    """Return a text for comparison: without case, punctuation and extra white space."""
    return " ".join("".join(character if character.isalnum() else " " for character in text.casefold()).split())


def united(held: Sequence[object], added: Sequence[object]) -> list[object]:
    """Return the elements of both lists, each once; texts are compared without case."""
    seen: dict[object, object] = {}
    for element in (*held, *added):
        seen.setdefault(_comparable(element), element)
    return list(seen.values())


def same_value(one_json: str, other_json: str) -> bool:
    """Tell whether two values are the same, texts compared without case."""
    return _value(one_json) == _value(other_json)


def _comparable(value: object) -> object:
    return normalised(value) if isinstance(value, str) else msgspec.json.encode(value)


def _value(value_json: str) -> object:
    try:
        value: object = msgspec.json.decode(value_json)
    except msgspec.DecodeError:
        value = value_json
    return _comparable(value)


def elements(value_json: str) -> list[object]:
    """Return the elements of a list value; one for a scalar, none for no value."""
    if not value_json:
        return []
    try:
        value: object = msgspec.json.decode(value_json)
    except msgspec.DecodeError:
        return [value_json]
    return value if isinstance(value, list) else [value]


_OPPOSITES: Final = (("Likes ", "Dislikes "), ("Dislikes ", "Likes "))
