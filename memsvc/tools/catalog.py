"""The tools themselves: what each is called, what it is for, and what it takes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from msgspec import Struct

from memsvc.extraction.engine import LayerSchema
from memsvc.model import Layer, Polarity, ToolName
from memsvc.tools.permissions import Permissions

MAX_FOUND: Final = 50
MAX_LISTED: Final = 200
MAX_RUNS: Final = 50

JSONObject = Mapping[str, Any]


class Tool(Struct, frozen=True):
    """A function that a model may call."""

    name: ToolName
    description: str
    properties: JSONObject
    """The JSON Schema of each argument."""
    required: Sequence[str] = ()
    read_only: bool = False
    destructive: bool = False
    """Whether it may do more than add: replace or delete what is remembered."""
    idempotent: bool = True
    """Whether the same call again does nothing more."""
    unlisted: frozenset[str] = frozenset()
    """Arguments that it knows and does not offer: what they ask for is not allowed."""

    @property
    def parameters(self) -> JSONObject:
        """The JSON Schema of its arguments."""
        return {
            "type": "object",
            "properties": self.properties,
            "required": list(self.required),
            "additionalProperties": False,
        }


def tools_for(permissions: Permissions, schemas: Sequence[LayerSchema]) -> Sequence[Tool]:
    """Return the tools that are allowed, those that write first; `schemas` say which keys layers have."""
    return [*_writing(permissions, schemas), *_reading(permissions)]


def _writing(permissions: Permissions, schemas: Sequence[LayerSchema]) -> Iterator[Tool]:
    if not (permissions.reads and permissions.writes):
        return
    layers = [layer for layer in Layer if layer in permissions.writable]
    said = {"topics": _TOPICS, **({"polarity": _POLARITY} if Layer.FEEDBACK in layers else {})}
    if layers and permissions.adds:
        yield Tool(
            ToolName.SAVE_MEMORY,
            "Remember something about the user that will still matter in later conversations. One fact a call. What is"
            " at its key already gives way to it; to a list, it is added. Never save passwords or other secrets.",
            {"layer": _layer(layers), "text": _TEXT, "key": _key(layers, schemas), "value": _VALUE, **said},
            ("layer", "text"),
            destructive=permissions.updates,
        )
    if layers and permissions.updates:
        yield Tool(
            ToolName.UPDATE_MEMORY,
            "Change a memory that is no longer right, by its number. Give what changes; the rest stays.",
            {"number": _NUMBER, "text": _TEXT, "value": _VALUE, **said},
            ("number",),
            destructive=True,
        )
    if permissions.deletes:
        yield _forget(permissions)
    if layers:
        yield Tool(
            ToolName.UPDATE_USER_MEMORY,
            "Bring the user's memory up to date by a task in words, in the user's own words where there are any, such"
            ' as "forget my workplace details" or "update my role: I\'m a Staff Engineer now".',
            {"task": {"type": "string", "description": "What to remember, change or forget."}},
            ("task",),
            destructive=permissions.updates or permissions.deletes,
            idempotent=False,
        )


def _forget(permissions: Permissions) -> Tool:
    every = {"all": {"type": "boolean", "description": "Everything that is remembered."}} if permissions.clears else {}
    return Tool(
        ToolName.FORGET,
        "Forget memories, when the user asks for it or they are wrong. Name them in exactly one way.",
        {
            "number": _NUMBER,
            "key": {"type": "string", "description": "All at this key and below it."},
            "topic": {"type": "string", "description": "All with this topic."},
            "description": {"type": "string", "description": "The one memory that holds all of these words."},
            **every,
            "layer": _layer(list(Layer), "Only of this layer."),
        },
        destructive=True,
        unlisted=frozenset() if every else frozenset(("all",)),
    )


def _reading(permissions: Permissions) -> Iterator[Tool]:
    if not permissions.reads:
        return
    layers = [layer for layer in Layer if layer in permissions.readable]
    if layers:
        yield Tool(
            ToolName.SEARCH_MEMORIES,
            "Find what is remembered about something. Answers memories with their numbers.",
            {"query": {"type": "string", "description": "A question, or some words."}, "limit": _count(MAX_FOUND)},
            ("query",),
            read_only=True,
        )
        yield Tool(
            ToolName.GET_MEMORIES,
            "List what is remembered about the user, last changed first, with numbers.",
            {"layer": _layer(layers, "Only this layer."), "limit": _count(MAX_LISTED)},
            read_only=True,
        )
    yield Tool(
        ToolName.READ_CHAT_HISTORY,
        "Read the last exchanges of the conversation, oldest first.",
        {"last_runs": {**_count(MAX_RUNS), "description": "How many exchanges; 3 where it is not given."}},
        read_only=True,
    )
    yield Tool(
        ToolName.SEARCH_HISTORY,
        "Find what was said about something in past conversations.",
        {"query": {"type": "string", "description": "A question, or some words."}, "limit": _count(MAX_FOUND)},
        ("query",),
        read_only=True,
    )


_TEXT: Final = {"type": "string", "description": "The fact as one sentence that can be understood by itself."}
_VALUE: Final = {"description": "The value at the key, where it is another than the text: any JSON."}
_NUMBER: Final = {"type": "string", "description": "The memory's number, such as m17."}
_TOPICS: Final = {"type": "array", "items": {"type": "string"}, "description": "One to three short labels."}
_POLARITY: Final = {
    "type": "string",
    "enum": [Polarity.POSITIVE.value, Polarity.NEGATIVE.value],
    "description": "Of feedback: whether it worked for the user.",
}
_MEANINGS: Final = {
    Layer.PROFILE: "who the user is",
    Layer.POLICY: "how the user wants to be served",
    Layer.KNOWLEDGE: "facts and context",
    Layer.FEEDBACK: "what worked for the user, or did not",
}


def _layer(layers: Iterable[Layer], description: str = "") -> JSONObject:
    chosen = list(layers)
    meanings = "; ".join(f"{layer}: {_MEANINGS[layer]}" for layer in chosen)
    return {"type": "string", "enum": [layer.value for layer in chosen], "description": description or f"{meanings}."}


def _key(layers: Sequence[Layer], schemas: Sequence[LayerSchema]) -> JSONObject:
    known = "; ".join(f"{each.layer}: {', '.join(each.keys)}" for each in schemas if each.layer in layers and each.keys)
    description = "Where the fact belongs, if it is one of a kind: it replaces what is there. Dots nest."
    return {"type": "string", "description": f"{description} Known keys: {known}." if known else description}


def _count(most: int) -> JSONObject:
    return {"type": "integer", "minimum": 1, "maximum": most}
