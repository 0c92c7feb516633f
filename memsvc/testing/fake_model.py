"""A tiny deterministic stand-in for a language model: it reads a prompt of the engine and answers.

It knows a handful of first-person sentences, enough for a demo and for measuring, and nothing of language.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

_CONVERSATION: Final = re.compile(r"<conversation>\n(.*)</conversation>", re.DOTALL)
_MESSAGE: Final = re.compile(r"<message n=(\d+) role=user[^>]*>(.*?)</message>", re.DOTALL)
_KNOWN: Final = re.compile(r"^m(\d+) (\w+)(?:\.([\w.]+))?(?: [\d-]{10})?: (.*)$", re.MULTILINE)
_SENTENCE: Final = re.compile(r"[^.!?\n]+[.!?]?")
_WHAT: Final = r"([^,;.!?\n]+?)(?=\s+(?:and|but)\s+i\b|[,;.!?\n]|$)"


def _said(pattern: str) -> re.Pattern[str]:
    return re.compile(rf"\b{pattern} {_WHAT}", re.IGNORECASE)


_FACTS: Final[Sequence[tuple[re.Pattern[str], str, str, str, str]]] = (
    (_said("my name is"), "profile", "name", "The user's name is {}.", "identity"),
    (_said("i (?:now )?live in"), "profile", "location", "The user lives in {}.", "location"),
    (_said("i moved to"), "profile", "location", "The user lives in {}.", "location"),
    (_said("i (?:now )?work (?:at|for)"), "profile", "company", "The user works for {}.", "work"),
    (_said("i(?:'m| am) (?:now )?an?"), "profile", "role", "The user is a {}.", "work"),
    (_said("please always"), "policy", "", "Always {}.", "style"),
    (_said("i(?:'m| am) allergic to"), "knowledge", "", "The user is allergic to {}.", "health"),
    (_said("i(?:'m| am) learning"), "knowledge", "", "The user is learning {}.", "learning"),
    (_said("i (?:have )?finished"), "knowledge", "", "The user has finished {}.", "progress"),
    (_said("i struggle with"), "knowledge", "", "The user struggles with {}.", "progress"),
    (_said("(?:we|i) use"), "knowledge", "", "The user uses {}.", "stack"),
    (_said("my order is"), "knowledge", "order", "The user's order is {}.", "orders"),
    (_said("i prefer"), "knowledge", "", "The user prefers {}.", "preferences"),
    (_said("i (?:really )?(?:like|love|enjoy)"), "knowledge", "", "The user likes {}.", "preferences"),
)
_FORGET: Final = _said("forget (?:about )?my")
_CLEAR: Final = re.compile(r"\b(?:forget|remove|delete) (?:everything|all(?: existing)? memories)\b", re.IGNORECASE)


class Fact(NamedTuple):
    """Something that a user says of themselves."""

    layer: str
    key: str
    text: str
    value: str
    topic: str
    quote: str


def facts_in(said: str) -> Iterator[Fact]:
    """Yield the facts of a text, without those of its questions."""
    for sentence in _SENTENCE.findall(said):
        if not sentence.endswith("?"):
            for pattern, layer, key, form, topic in _FACTS:
                for match in pattern.finditer(sentence):
                    value = match.group(1)
                    yield Fact(layer, key, form.format(value), value, topic, match.group())


def understand(prompt: str) -> list[Mapping[str, Any]]:
    """Return the operations for the user's messages in the last part of a prompt."""
    conversation = _CONVERSATION.search(prompt)
    known = [match.groups() for match in _KNOWN.finditer(prompt[: conversation.start()] if conversation else "")]
    listed: list[Mapping[str, Any]] = []
    for index, text in _MESSAGE.findall(conversation.group(1) if conversation else ""):
        for sentence in _SENTENCE.findall(html.unescape(text)):
            if not sentence.endswith("?"):
                listed += [{**operation, "message_index": int(index)} for operation in _read(sentence, known)]
    return listed


def _read(sentence: str, known: Sequence[tuple[str | Any, ...]]) -> Iterator[Mapping[str, Any]]:
    for fact in facts_in(sentence):
        place = (fact.layer, fact.key)
        number = next((int(m) for m, in_layer, at, _ in known if fact.key and (in_layer, at) == place), 0)
        if any(said == fact.text for _, _, _, said in known):
            continue
        yield {
            "action": "update" if number else "add",
            "layer": fact.layer,
            "number": number,
            "text": fact.text,
            "key": fact.key,
            "value": json.dumps(fact.value, ensure_ascii=False) if fact.key else "",
            "topics": [fact.topic],
            "quote": fact.quote,
            "polarity": "none",
            "inferred": False,
        }
    if _CLEAR.search(sentence):
        yield {"action": "clear", "quote": sentence.strip()}
    for match in _FORGET.finditer(sentence):
        word = match.group(1).split()[0].lower()
        for known_number, layer, key, _ in known:
            if key and word in key:
                yield {"action": "delete", "layer": layer, "number": int(known_number), "quote": match.group()}
