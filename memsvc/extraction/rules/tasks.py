"""Tasks of agents in the form in which the engine reads: as the user would say it.

Models write of their user in the third person and as commands: "Update the user's role to Principal Engineer" is "My
role is Principal Engineer", "The user lives in Oslo and has two dogs" is "I live in Oslo and I have two dogs", "Delete
the user's location" is "Forget my location". What has none of these forms is left as it is.
"""

from __future__ import annotations

import re
from typing import Final

from msgspec.structs import replace

from memsvc.extraction.engine import Conversation, Operation
from memsvc.limits import TEXT_BYTES
from memsvc.model import TextPart

_OWNER: Final = r"(?:(?:the )?(?:user|customer|client)(?:'s|s'|s)?|my|their|his|her)"
_WHO: Final = r"(?:the )?(?:user|customer|client)"
_ABOUT: Final = r"(?:memories|memory|info|information|details|facts|data|entries|entry|records?)"
_SENTENCE: Final = re.compile(
    r"(?<=[.!?])\s+|\s*[\n;]\s*|\s+and (?:also )?(?=(?:forget|delete|update|change|remember)\b)"
)
_SAVES: Final = re.compile(
    r"(?:please )?(?:add|save|store|record|remember|memorize|note(?: down)?|keep in mind|learn|write down)"
    r"(?: (?:this|the following|the fact))?(?: (?:to|in|into) (?:the |my |your |user )?memory)?(?: that|:)? ",
    re.IGNORECASE,
)
_SETS: Final = re.compile(
    rf"(?:please )?(?:update|change|set|correct|fix|switch|edit|modify) (?:{_OWNER} )?(?P<name>[\w .-]{{2,40}}?)"
    r"(?: from .{1,80}?)?(?: to be | to | as | = |: | is )(?P<value>.+)",
    re.IGNORECASE,
)
_FIELD: Final = re.compile(rf"(?:{_OWNER} )?(?P<name>[a-z_ ]{{3,30}}?)(?:: | ?= ?)(?P<value>\S.*)", re.IGNORECASE)
_FORGETS: Final = re.compile(
    r"(?:please )?(?P<verb>forget|delete|remove|erase|clear|drop|discard|wipe)"
    rf"(?: (?:all|any|every|everything|the|your))*(?: (?:saved|stored|known))?(?: {_ABOUT})?"
    r"(?: (?:about|of|on|for|regarding))?(?P<that> that)? (?P<rest>.+)",
    re.IGNORECASE,
)
_EVERYTHING: Final = re.compile(
    rf"(?:everything|all|{_WHO}|them|me|him|her|{_OWNER} )?(?:{_ABOUT})?[.!]?", re.IGNORECASE
)
_SUBJECT: Final = re.compile(rf"^{_WHO} ", re.IGNORECASE)
_THEN: Final = re.compile(r"(?P<joint>,? (?:and|but) )(?:(?:he|she|they|the user) )?(?P<verb>[a-z']+)\b")
_SAID: Final = {
    **dict.fromkeys(("location", "city", "home", "residence", "address"), "I live in {}"),
    **dict.fromkeys(("company", "employer", "workplace"), "I work at {}"),
    "age": "I am {} years old",
    "diet": "I am {}",
    "hometown": "I am from {}",
}
"""How people say what a field holds."""
_IRREGULAR: Final = {
    "is": "am",
    "are": "am",
    "has": "have",
    "does": "do",
    "doesn't": "don't",
    "isn't": "am not",
    "goes": "go",
    "was": "was",
    "were": "was",
}
_BEFORE_VERBS: Final = frozenset(("now", "no", "longer", "also", "always", "never", "really", "currently"))


def as_said(conversation: Conversation) -> Conversation:
    """Return a task as a conversation in the user's own words."""
    messages = [
        replace(message, parts=tuple(_part(part) for part in message.parts if isinstance(part, TextPart)))
        for message in conversation.messages
    ]
    return replace(conversation, messages=messages)


def quoting(operation: Operation, task: str) -> Operation:
    """Return an operation that quotes the task as it was given."""
    return replace(operation, quote=task) if len(task.encode()) <= TEXT_BYTES else operation


def in_first_person(task: str) -> str:
    """Return a task in the user's own words."""
    sentences = (_sentence(each.strip()) for each in _SENTENCE.split(task) if each.strip())
    return " ".join(each if each.endswith((".", "!", "?")) else f"{each}." for each in sentences)


def _part(part: TextPart) -> TextPart:
    return TextPart(in_first_person(part.text))


def _sentence(sentence: str) -> str:
    if match := _FORGETS.fullmatch(sentence):
        return _forgetting(match)
    saved = _SAVES.match(sentence)
    rest = sentence[saved.end() :] if saved is not None else sentence
    if match := _SETS.fullmatch(rest) or _FIELD.fullmatch(rest):
        value = match["value"]
        # "update my role: I'm a Staff Engineer now" says it in a sentence already.
        if re.match(r"(?:i|i'm|my|we) ", f"{value} ", re.IGNORECASE) or _SUBJECT.match(value):
            return _statement(value)
        name = match["name"].replace("_", " ").strip()
        return _SAID.get(name.lower(), f"My {name} is {{}}").format(value)
    return _statement(rest)


def _forgetting(match: re.Match[str]) -> str:
    rest = match["rest"]
    if _EVERYTHING.fullmatch(rest):
        return "Forget everything about me"
    if match["that"] or _SUBJECT.match(rest):
        if re.match(rf"{_WHO}(?:'s|s'|s) ", rest, re.IGNORECASE):
            return f"Forget my {re.sub(rf'^{_OWNER} ', '', rest, flags=re.IGNORECASE)}"
        return f"Forget that {_statement(rest)}"
    return f"Forget my {re.sub(rf'^(?:{_OWNER}|the) ', '', rest, flags=re.IGNORECASE)}" if _names(rest) else match[0]


def _names(rest: str) -> bool:
    """Tell whether a thing of the user is meant, and not a sentence."""
    return re.match(r"(?:that|what|i|about|me)\b", rest, re.IGNORECASE) is None


def _statement(sentence: str) -> str:
    """Return a statement about the user as one by the user."""
    sentence = re.sub(rf"\b{_WHO}'s ", "my ", sentence, flags=re.IGNORECASE)
    sentence = re.sub(r"^(?:their|his|her) ", "my ", sentence, flags=re.IGNORECASE)
    match = _SUBJECT.match(sentence)
    if match is None and not re.match(r"my ", sentence, re.IGNORECASE):
        return sentence
    if match is not None:
        sentence = f"I {_of_first_person(sentence[match.end() :])}"
    joined = _THEN.sub(lambda then: f"{then['joint']}{_joined(then)}", sentence)
    return joined[:1].upper() + joined[1:]


def _joined(then: re.Match[str]) -> str:
    verb = then["verb"]
    if verb in _IRREGULAR or verb in _BEFORE_VERBS or (verb.endswith("s") and not verb.endswith("ss")):
        return f"I {_of_first_person(verb)}"
    return then[0][len(then["joint"]) :]


def _of_first_person(words: str) -> str:
    """Return "live in Oslo" for "lives in Oslo"; words that only qualify the verb stay in front of it."""
    first, space, rest = words.partition(" ")
    if first.lower() in _BEFORE_VERBS and rest:
        return f"{first} {_of_first_person(rest)}"
    known = _IRREGULAR.get(first.lower())
    if known is not None:
        return f"{known}{space}{rest}"
    if first.endswith("ies") and len(first) > 4:
        first = f"{first[:-3]}y"
    elif first.endswith(("shes", "ches", "sses", "xes", "zes", "oes")):
        first = first[:-2]
    elif first.endswith("s") and not first.endswith("ss"):
        first = first[:-1]
    return f"{first}{space}{rest}"
