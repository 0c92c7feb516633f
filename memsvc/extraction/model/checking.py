"""Checking what a model proposed: each operation by itself becomes an `Operation`, or has one flaw and is dropped."""

from __future__ import annotations

import enum
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Final, TypeVar

import msgspec

from memsvc.errors import InvalidArgument
from memsvc.extraction.authority import asks_to_forget, is_meant, names
from memsvc.extraction.engine import Action, Conversation, Operation
from memsvc.extraction.model.quotes import SaidText
from memsvc.limits import TEXT_BYTES, TOPIC_BYTES, TOPICS, check_key
from memsvc.model import Layer, Memory, Message, Polarity, TextPart, Trust
from memsvc.periods import iso_period

_NUMBER: Final = re.compile(r"m?(\d{1,15})")
_NOT_QUOTED: Final = " \t\r\n\"'.…-,:;"
_NO_ACTIONS: Final = frozenset({"none", "noop", "no_op", "no-op", "nothing", "skip", "ignore", "keep"})
_CONTROLS: Final = dict.fromkeys([*range(0x20), *range(0x7F, 0xA0)], " ")

_E = TypeVar("_E", bound=enum.StrEnum)


class Flaw(enum.StrEnum):
    """Why an operation was dropped."""

    NO_OPERATION = "no_operation"
    """It says that there is nothing to do, which is no fault."""
    NOT_AN_OBJECT = "not_an_object"
    UNKNOWN_ACTION = "unknown_action"
    WRONG_LAYER = "wrong_layer"
    EMPTY_TEXT = "empty_text"
    TEXT_TOO_LONG = "text_too_long"
    UNKNOWN_NUMBER = "unknown_number"
    NO_TARGET = "no_target"
    MALFORMED_KEY = "malformed_key"
    NO_QUOTE = "no_quote"
    QUOTE_NOT_SAID = "quote_not_said"
    NOT_ASKED_FOR = "not_asked_for"


class Checker:
    """Checks operations against one conversation."""

    def __init__(self, conversation: Conversation, shown: Sequence[Memory]) -> None:
        """`shown` are the memories that the model saw: it cannot mean others."""
        self._messages = conversation.messages
        self._is_source = conversation.is_source
        self._said_texts: dict[int, SaidText] = {}
        self._layers: Collection[Layer] = {schema.layer for schema in conversation.schemas} or set(Layer)
        self._homes: dict[str, list[Layer]] = {}
        for schema in conversation.schemas:
            for key in schema.keys:
                self._homes.setdefault(key, []).append(schema.layer)
        self._shown: Mapping[int, Memory] = {memory.number: memory for memory in shown}

    def check(self, fields: object) -> Operation | Flaw:
        """Return the operation that `fields` describe, or their first flaw."""
        if not isinstance(fields, Mapping):
            return Flaw.NOT_AN_OBJECT
        action = _member(Action, fields.get("action"))
        if action is None:
            named = fields.get("action")
            is_none = isinstance(named, str) and named.strip().lower() in _NO_ACTIONS
            return Flaw.NO_OPERATION if is_none else Flaw.UNKNOWN_ACTION
        target = self._target(action, fields)
        if isinstance(target, Flaw):
            return target
        said = self._said(fields)
        if isinstance(said, Flaw):
            return said
        quote, message_index = said
        time = self._messages[message_index].time
        target = msgspec.structs.replace(target, **_validity(fields, time))
        if action in (Action.CLEAR, Action.DELETE) and not target.number:
            named = self._named(target, quote)
            if isinstance(named, Flaw):
                return named
            target = named
        return msgspec.structs.replace(target, action=action, quote=quote, message_index=message_index)

    def _target(self, action: Action, fields: Mapping[str, object]) -> Operation | Flaw:
        if action is Action.CLEAR:
            return Operation(action=action)
        number = 0 if action is Action.ADD else _number(fields.get("number"))
        if number and number not in self._shown:
            return Flaw.UNKNOWN_NUMBER
        key = _clean(fields.get("key")).removesuffix("[]").replace("-", "_").replace(" ", "_")
        if number:
            key = self._shown[number].key or key
        layer = self._shown[number].layer if number else _member(Layer, fields.get("layer"))
        if layer is None:
            return Flaw.WRONG_LAYER
        if not number or not self._shown[number].key:
            layer = self._home(layer, key)
        if layer not in self._layers:
            return Flaw.WRONG_LAYER
        if key and not _is_key(key):
            return Flaw.MALFORMED_KEY
        topics = _topics(fields.get("topics"))
        trust = Trust.INFERRED if fields.get("inferred") is True else Trust.STATED
        if action is Action.DELETE:
            topic = topics[0] if len(topics) == 1 and not number and not key else ""
            if not (number or key or topic):
                return Flaw.NO_TARGET
            return Operation(
                action=action, layer=layer, number=number, key="" if number else key, topic=topic, trust=trust
            )
        if action is Action.UPDATE and not (number or key):
            return Flaw.NO_TARGET
        text = _clean(fields.get("text"))
        if not text:
            return Flaw.EMPTY_TEXT
        value_json = _value_json(fields.get("value")) if key else ""
        if len(text.encode()) > TEXT_BYTES or len(value_json.encode()) > TEXT_BYTES:
            return Flaw.TEXT_TOO_LONG
        return Operation(
            action=action,
            layer=layer,
            number=number,
            text=text,
            key=key,
            value_json=value_json,
            topics=topics,
            polarity=_polarity(fields.get("polarity")) if layer is Layer.FEEDBACK else Polarity.NONE,
            trust=trust,
        )

    def _home(self, layer: Layer, key: str) -> Layer:
        """Return the layer that has a key, where it is one alone: in another, what it says would stay when it changes.

        For example `location` is of the profile, and "Lives in Paris" at `location` of the knowledge is never replaced.
        """
        homes = self._homes.get(key, ())
        return homes[0] if len(homes) == 1 else layer

    def _named(self, target: Operation, quote: str) -> Operation | Flaw:
        """Return a deletion of what the user's words name; what they do not is deleted only as far as it was shown."""
        if target.action is Action.CLEAR:
            return target if asks_to_forget(quote) else Flaw.NOT_ASKED_FOR
        if names(quote, target.key or target.topic):
            return target
        among = tuple(memory.number for memory in self._shown.values() if is_meant(memory, target))
        return msgspec.structs.replace(target, among=among) if among else Flaw.NOT_ASKED_FOR

    def _said(self, fields: Mapping[str, object]) -> tuple[str, int] | Flaw:
        """Return the user's words that the quote stands for, as they wrote them, and in which message."""
        quote = fields.get("quote")
        if not isinstance(quote, str) or not quote.strip(_NOT_QUOTED):
            return Flaw.NO_QUOTE
        if len(quote) > TEXT_BYTES:
            return Flaw.QUOTE_NOT_SAID
        count = len(self._messages)
        first = fields.get("message_index")
        order = list(range(count))
        if isinstance(first, int) and 0 <= first < count:
            order.insert(0, first)
        for index in order:
            if self._is_source(self._messages[index]):
                said = self._said_texts.get(index)
                if said is None:
                    said = self._said_texts[index] = SaidText(_own_words(self._messages[index]))
                words = said.find(quote)
                if words:
                    return _first_bytes(words, TEXT_BYTES), index
        return Flaw.QUOTE_NOT_SAID


def _validity(fields: Mapping[str, object], said_time: int) -> dict[str, int]:
    """Return since when and until when it is so, as far as these are dates: `2019-03/`, `2015/2019`, `/2020`."""
    begins, _, ends = (iso_period(part) for part in _clean(fields.get("valid")).partition("/"))
    return {
        "valid_from": begins.start if begins is not None else 0,
        "valid_to": ends.end_by(said_time) if ends is not None else 0,
    }


def _own_words(message: Message) -> str:
    """Return what a message says itself: neither captions nor what a tool answered."""
    return "\n".join(part.text for part in message.parts if isinstance(part, TextPart))


def _is_key(key: str) -> bool:
    try:
        check_key("key", key)
    except InvalidArgument:
        return False
    return True


def _number(value: object) -> int:
    """Return a memory's number, written as 17, "17" or "m17"; 0: none."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    match = _NUMBER.fullmatch(value.strip()) if isinstance(value, str) else None
    return int(match.group(1)) if match else 0


def _value_json(value: object) -> str:
    """Return `value`, which is JSON in a string or, where no schema binds the model, JSON itself; null is no value."""
    if isinstance(value, str):
        text = _clean(value)
        try:
            value = msgspec.json.decode(text) if text else None
        except (msgspec.DecodeError, RecursionError):
            value = text
    try:
        encoded = msgspec.json.encode(value).decode()
    except (UnicodeEncodeError, OverflowError, RecursionError):
        return ""
    return "" if encoded == "null" else encoded


def _topics(value: object) -> tuple[str, ...]:
    listed = [value] if isinstance(value, str) else value if isinstance(value, list) else []
    cleaned = (_first_bytes(_clean(topic), TOPIC_BYTES).strip() for topic in listed)
    return tuple(dict.fromkeys(topic for topic in cleaned if topic))[:TOPICS]


def _polarity(value: object) -> Polarity:
    return _member(Polarity, value) or Polarity.NONE


def _member(kind: type[_E], value: object) -> _E | None:
    try:
        return kind(value.strip().lower()) if isinstance(value, str) else None
    except ValueError:
        return None


def _first_bytes(text: str, limit: int) -> str:
    return text.encode()[:limit].decode(errors="ignore")


def _clean(value: object) -> str:
    """Return a string as one line without control characters and halves of surrogate pairs; else the empty string."""
    if not isinstance(value, str):
        return ""
    return " ".join(value.translate(_CONTROLS).encode("utf-8", "replace").decode().split())
