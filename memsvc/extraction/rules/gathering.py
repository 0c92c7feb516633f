"""The operations of one conversation, each once: later statements win, lists grow and shrink, the known stays out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from memsvc.extraction.engine import Action, Operation
from memsvc.extraction.rules.lists import elements, grown, normalised, shrunk
from memsvc.extraction.schemas import is_list_key, list_text
from memsvc.model import Layer, Memory, Trust

_Place = tuple[str, ...]


class Effect(msgspec.Struct, frozen=True, gc=False):
    """What one statement does: learn, delete or clear, or, as marked, end or correct what was learned."""

    operation: Operation
    ends: bool = False
    """What the operation says is no longer so."""
    denies: bool = False
    """What the operation says is not so: a known fact that says just this ends."""
    corrects: bool = False
    """Its text is what should have been said, instead of `wrong` or of what was said last."""
    wrong: str = ""


class Gathering:
    """Collects operations in the order of the conversation."""

    def __init__(self, known: Sequence[Memory]) -> None:
        self._known = {memory.number: memory for memory in known}
        self._keyed = {(memory.layer, memory.key): memory for memory in known if memory.key}
        self._texts = {(memory.layer, normalised(memory.text)): memory for memory in known}
        self._taken: list[Effect] = []
        self._pending: dict[_Place, Operation] = {}

    def take(self, effect: Effect) -> Operation | None:
        """Take an effect in; return the operation as it now stands, or None when it changes nothing."""
        self._taken.append(effect)
        operation = effect.operation
        if effect.ends or effect.denies:
            return self._withdraw(operation, is_whole=effect.denies)
        if effect.corrects:
            return self._correct(effect.wrong, operation)
        if operation.action is Action.CLEAR:
            self._pending.clear()
            return self._put(("clear",), operation)
        if operation.action is Action.DELETE:
            return self._delete(operation)
        return self._add_keyed(operation) if operation.key else self._add_text(operation)

    def learned_from(self, message_index: int) -> bool:
        """Tell whether something came from a message."""
        return any(effect.operation.message_index == message_index for effect in self._taken)

    def take_back(self, message_index: int) -> None:
        """Be as if a message had not been said."""
        effects = [effect for effect in self._taken if effect.operation.message_index != message_index]
        self._taken.clear()
        self._pending.clear()
        for effect in effects:
            self.take(effect)

    def forget_said(self, text: str) -> None:
        """Delete the memories that a message taught earlier."""
        for memory in self._known.values():
            if memory.input and memory.input in text:
                gone = Operation(action=Action.DELETE, layer=memory.layer, number=memory.number, quote=memory.input)
                self.take(Effect(gone))

    def operations(self) -> tuple[Operation, ...]:
        """Return what was gathered, in order."""
        return tuple(self._pending.values())

    def _withdraw(self, fact: Operation, *, is_whole: bool = False) -> Operation | None:
        """Take back what a fact says, wherever it stands. Nothing else is deleted.

        `is_whole`: who is no doctor may be an eye doctor.
        """
        if not fact.key:
            return self._withdraw_text(fact)
        place = ("key", fact.layer, fact.key)
        held = self._held(fact.layer, fact.key)
        if is_list_key(fact.layer, fact.key):
            left = shrunk(held, elements(fact.value_json))
            if len(left) == len(held):
                return None
            self._pending.pop(place, None)
            return self._put(place, self._whole(fact, left, Action.UPDATE)) if left else self._drop(fact)
        if not held or not _agree(held[0], fact.value_json, from_start=is_whole):
            return None
        self._pending.pop(place, None)
        return self._drop(fact)

    def _correct(self, wrong: str, right: Operation) -> Operation | None:
        """Put what is right where `wrong` stands, or, where that is empty, where the last statement stands."""
        for place, pending in reversed(list(self._pending.items())):
            if pending.action is Action.ADD and pending.value_json and _corrects(wrong, pending.value_json):
                alike = str(elements(pending.value_json)[0])[:1].isupper() == right.text[:1].isupper()
                if not alike or (not wrong and pending.message_index < right.message_index - _STILL_MEANT):
                    return None
                del self._pending[place]
                return self._add_keyed(_corrected(pending, right))
        for memory in self._known.values() if wrong else ():
            if memory.key and not is_list_key(memory.layer, memory.key) and _corrects(wrong, memory.value_json):
                standing = Operation(
                    action=Action.ADD,
                    layer=memory.layer,
                    key=memory.key,
                    value_json=memory.value_json,
                    text=memory.text,
                    topics=memory.topics,
                )
                return self._add_keyed(_corrected(standing, right))
        return None

    def _held(self, layer: Layer, key: str) -> list[object]:
        pending = self._pending.get(("key", layer, key))
        if pending is not None:
            return [] if pending.action is Action.DELETE else elements(pending.value_json)
        known = self._keyed.get((layer, key))
        if known is None or ("number", str(known.number)) in self._pending:
            return []
        return elements(known.value_json or known.text)

    def _add_keyed(self, operation: Operation) -> Operation | None:
        place = ("key", operation.layer, operation.key)
        held = self._held(operation.layer, operation.key)
        if is_list_key(operation.layer, operation.key):
            values = grown(held, elements(operation.value_json))
            if values == held:
                return None
            earlier = self._pending.pop(place, None)
            shrank = earlier is not None and earlier.action is not Action.ADD
            whole = shrank or any(value not in values for value in held)
            return self._put(place, self._whole(operation, values, Action.UPDATE if whole else Action.ADD))
        says_the_same = bool(held) and not operation.valid_from and _same(held[0], operation.value_json)
        if says_the_same or (held and operation.trust is Trust.INFERRED):
            return None
        self._pending.pop(place, None)
        known = self._keyed.get((operation.layer, operation.key))
        dates = operation.valid_from not in (0, known.valid_from) if known else False
        if known and not dates and _same(next(iter(elements(known.value_json or known.text))), operation.value_json):
            return None
        return self._put(place, operation)

    def _add_text(self, operation: Operation) -> Operation | None:
        text = normalised(operation.text)
        place = ("text", operation.layer, text)
        for mine, other in _OPPOSITES:
            if operation.text.startswith(mine):
                self._withdraw_text(msgspec.structs.replace(operation, text=other + operation.text[len(mine) :]))
        if place in self._pending or (operation.layer, text) in self._texts:
            return None
        return self._put(place, operation)

    def _withdraw_text(self, fact: Operation) -> Operation | None:
        text = self._text_meant(fact)
        self._pending.pop(("text", fact.layer, text), None)
        known = self._texts.get((fact.layer, text))
        if known is None:
            return None
        gone = Operation(action=Action.DELETE, layer=known.layer, number=known.number, quote=fact.quote)
        return self._delete(msgspec.structs.replace(gone, message_index=fact.message_index))

    def _text_meant(self, fact: Operation) -> str:
        """Return the text that a fact stands for: "goes to the gym" also where that is said with how often."""
        text = normalised(fact.text)
        texts = {place[2] for place in self._pending if place[0] == "text" and place[1] == fact.layer}
        texts |= {known for layer, known in self._texts if layer is fact.layer}
        longer = [each for each in texts if each.startswith(f"{text} ")] if text.count(" ") >= _MIN_SPACES else []
        return longer[0] if text not in texts and len(longer) == 1 else text

    def _delete(self, operation: Operation) -> Operation | None:
        """Delete what a number, a key or a topic names; a value that is not the one known protects what is there."""
        if operation.number:
            known = self._known.get(operation.number)
            if known is not None and known.key:
                self._pending.pop(("key", known.layer, known.key), None)
            return self._put(("number", str(operation.number)), operation)
        if operation.topic:
            return self._put(("topic", operation.layer, operation.topic), operation)
        if operation.value_json:
            return self._withdraw(operation)
        self._pending.pop(("key", operation.layer, operation.key), None)
        # Asked for by its name, it is deleted also where it is not among the memories seen here.
        known = self._keyed.get((operation.layer, operation.key))
        named = msgspec.structs.replace(operation, number=known.number if known else 0)
        return self._put(("key", operation.layer, operation.key), named)

    def _drop(self, fact: Operation) -> Operation | None:
        """Delete the memory at a key, where there is one."""
        known = self._keyed.get((fact.layer, fact.key))
        if known is None:
            return None
        gone = Operation(
            action=Action.DELETE,
            layer=fact.layer,
            key=fact.key,
            number=known.number,
            quote=fact.quote,
            message_index=fact.message_index,
        )
        return self._put(("key", fact.layer, fact.key), gone)

    def _whole(self, fact: Operation, values: Sequence[object], action: Action) -> Operation:
        return msgspec.structs.replace(
            fact,
            action=action,
            text=list_text(fact.layer, fact.key, values),
            value_json=msgspec.json.encode(values).decode(),
        )

    def _put(self, place: _Place, operation: Operation) -> Operation | None:
        if self._pending.get(place) == operation:
            return None
        self._pending[place] = operation
        return operation


def _same(held: object, value_json: str) -> bool:
    return all(normalised(str(held)) == normalised(str(value)) for value in elements(value_json))


def _agree(held: object, value_json: str, *, from_start: bool = False) -> bool:
    """Tell whether what is held is what is meant: "Berlin" also where "Berlin, Germany" is held."""
    known = f" {normalised(str(held))} "
    meant = [f" {normalised(str(value))} " for value in elements(value_json)]
    return any(known.startswith(value) if from_start else value in known for value in meant)


def _corrects(wrong: str, value_json: str) -> bool:
    values = elements(value_json)
    return len(values) == 1 and isinstance(values[0], str) and (not wrong or _agree(values[0], f'"{wrong}"'))


def _corrected(operation: Operation, right: Operation) -> Operation:
    value = str(elements(operation.value_json)[0])
    listed = operation.value_json.startswith("[")
    return msgspec.structs.replace(
        operation,
        text=operation.text.replace(value, right.text),
        value_json=msgspec.json.encode([right.text] if listed else right.text).decode(),
        corrects=True,
        quote=right.quote,
        message_index=right.message_index,
    )


_STILL_MEANT: Final = 2
"""How many messages after it "sorry, I meant ..." still corrects a statement."""
_MIN_SPACES: Final = 2
_OPPOSITES: Final = (("Likes ", "Dislikes "), ("Dislikes ", "Likes "))
