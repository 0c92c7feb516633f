"""The arguments of a call, as models write them: lenient in form, strict in what they mean.

What is wrong with them is an InvalidArgument that names the argument, in words from which a model can mend the call.
Null, empty texts and empty lists are arguments that were not given: many models fill in all of them.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

from msgspec import Struct

from memsvc.errors import invalid
from memsvc.limits import QUERY_BYTES, TEXT_BYTES, check_json, check_key, check_text, check_topics
from memsvc.model import Layer, Polarity
from memsvc.tools.catalog import Tool

_NUMBER: Final = re.compile(r"[mM]?#?([0-9]{1,12})")
_EMPTY: Final[tuple[object, ...]] = (None, "", [], {})


class Arguments(Struct, frozen=True):
    """What was given, by name."""

    given: dict[str, Any]
    canonical: str
    """The same for the same arguments, however they are written."""

    def text(self, name: str, limit: int = TEXT_BYTES) -> str:
        """Return a text; empty where it is not given."""
        value = self.given.get(name, "")
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            value = str(value)
        if not isinstance(value, str):
            raise invalid(name, "must be a string")
        check_text(name, value, limit)
        return value.strip()

    def query(self) -> str:
        """Return what to look for."""
        return self.text("query", QUERY_BYTES)

    def layer(self) -> Layer | None:
        """Return a layer; None where it is not given."""
        value = self.given.get("layer")
        if value is None:
            return None
        try:
            return Layer(value.strip().lower() if isinstance(value, str) else value)
        except ValueError:
            raise invalid("layer", f"must be one of {', '.join(Layer)}") from None

    def polarity(self) -> Polarity:
        """Return whether feedback says what worked."""
        value = self.given.get("polarity", "")
        try:
            return Polarity(value.strip().lower() if isinstance(value, str) else value)
        except ValueError:
            raise invalid("polarity", f"must be {Polarity.POSITIVE} or {Polarity.NEGATIVE}") from None

    def number(self) -> int:
        """Return the number of a memory, written as 17, "17" or "m17"; 0 where it is not given."""
        value = self.given.get("number")
        if value is None or value == 0:
            return 0
        number = _whole(value)
        if number is None and isinstance(value, str) and (match := _NUMBER.fullmatch(value.strip())):
            number = int(match[1])
        if number is None or number < 1:
            raise invalid("number", "must be a memory's number, such as m17: search_memories and get_memories show it")
        return number

    def key(self) -> str:
        """Return a key; empty where it is not given."""
        key = self.text("key")
        if key:
            check_key("key", key)
        return key

    def topics(self) -> tuple[str, ...]:
        """Return labels, each once."""
        value = self.given.get("topics", ())
        listed = [value] if isinstance(value, str) else value
        if not isinstance(listed, (list, tuple)) or not all(isinstance(each, str) for each in listed):
            raise invalid("topics", "must be a list of short strings")
        topics = tuple(dict.fromkeys(each.strip() for each in listed if each.strip()))
        check_topics("topics", topics)
        return topics

    def value_json(self) -> str:
        """Return a value as JSON; empty where it is not given."""
        if "value" not in self.given:
            return ""
        value_json = json.dumps(self.given["value"], ensure_ascii=False)
        check_json("value", value_json)
        return value_json

    def flag(self, name: str) -> bool:
        """Return a switch; off where it is not given."""
        value = self.given.get(name, False)
        if isinstance(value, str):
            value = {"true": True, "false": False}.get(value.strip().lower(), value)
        if not isinstance(value, bool):
            raise invalid(name, "must be true or false")
        return value

    def count(self, name: str, default: int, most: int) -> int:
        """Return how many, at least 1 and at most `most`."""
        value = self.given.get(name)
        if value is None:
            return default
        count = _whole(value)
        if count is None and isinstance(value, str) and value.strip().isdecimal():
            count = int(value.strip()[:10])
        if count is None or not 1 <= count <= most:
            raise invalid(name, f"must be a number from 1 to {most}")
        return count


def parse(tool: Tool, arguments_json: str) -> Arguments:
    """Return the arguments of a call of `tool`; those that it requires are there, others than its own are not."""
    try:
        given = json.loads(arguments_json or "{}", parse_constant=_no_constant)
        canonical = json.dumps(given, ensure_ascii=False, sort_keys=True)
        # Halves of surrogate pairs are JSON, and no text that can be stored.
        canonical.encode()
    except (ValueError, RecursionError):
        raise invalid("arguments", "must be a JSON object, of whole Unicode characters") from None
    if not isinstance(given, dict):
        raise invalid("arguments", f"must be a JSON object with {_names(tool)}")
    given = {name: value for name, value in given.items() if value not in _EMPTY}
    for name in given:
        if name not in tool.properties and name not in tool.unlisted:
            raise invalid(_shown(name), f"is no argument of {tool.name}: it takes {_names(tool)}")
    for name in tool.required:
        if name not in given or (isinstance(given[name], str) and not given[name].strip()):
            raise invalid(name, f"must be given: {tool.name} takes {_names(tool)}")
    return Arguments(given, canonical)


def _names(tool: Tool) -> str:
    return ", ".join(name if name in tool.required else f"{name} (optional)" for name in tool.properties)


def _shown(name: str) -> str:
    """Return a name that a model made up, so that it can stand in a sentence."""
    return "".join(character for character in name[:40] if character.isprintable()) or "that"


def _whole(value: object) -> int | None:
    """Return a whole number, also where it is written as 3.0."""
    if isinstance(value, bool):
        return None
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e12:
        return int(value)
    return value if isinstance(value, int) and abs(value) < 10**12 else None


def _no_constant(name: str) -> None:
    raise ValueError(name)
