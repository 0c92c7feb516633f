"""Messages as people hold them: dicts, and objects of model providers and agent frameworks, all read as one mapping.

Openai's `ChatCompletionMessage` and other pydantic models, LangChain's messages, dataclasses, and whatever has a role
and content of its own. None of these libraries is imported.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping
from typing import Any

_FIELDS = (
    "role",
    "type",
    "content",
    "refusal",
    "tool_calls",
    "function_call",
    "tool_call_id",
    "status",
    "name",
    "time",
    "author_id",
    "message_id",
    "id",
    "call_id",
    "function",
    "arguments",
    "args",
    "input",
    "output",
)
_ROLES: Mapping[str, str] = {
    "developer": "system",
    "systemmessagechunk": "system",
    "human": "user",
    "humanmessagechunk": "user",
    "ai": "assistant",
    "aimessagechunk": "assistant",
    "model": "assistant",
    "function": "tool",
    "toolmessagechunk": "tool",
    "functionmessagechunk": "tool",
}
"""What other libraries call a role, or the type of a message."""
_TYPES_WITH_A_ROLE = frozenset({*_ROLES, "system", "user", "assistant", "tool"})


def mapping_of(given: object) -> Mapping[str, Any] | None:
    """Return what a dict, model or object says, by name; None where it is none of these.

    Raises TypeError where the object's own code fails.
    """
    if isinstance(given, Mapping):
        return given
    if isinstance(given, (str, bytes, int, float, list, tuple, set, type)) or given is None:
        return None
    try:
        return _said_by(given)
    except Exception as error:
        raise TypeError(f"a {type(given).__name__} cannot be read, {type(error).__name__}: {error}") from error


def _said_by(given: object) -> Mapping[str, Any] | None:
    if dumped := _dumped(given):
        return {**{name: getattr(given, name) for name in ("role", "content") if hasattr(given, name)}, **dumped}
    if dataclasses.is_dataclass(given):
        return {each.name: getattr(given, each.name) for each in dataclasses.fields(given)}
    return {name: getattr(given, name) for name in _FIELDS if hasattr(given, name)} or None


def is_message(given: object) -> bool:
    """Tell whether this is one message, where a list of them is meant: pydantic models can be iterated over."""
    said = mapping_of(given) if not isinstance(given, (list, tuple)) else None
    return said is not None and "content" in said


def role_of(given: Mapping[str, Any]) -> object:
    """Return the role that a message names, or that its type means, as the service calls it."""
    role = given.get("role")
    if role is None and str(given.get("type")).lower() in _TYPES_WITH_A_ROLE:
        role = given.get("type")
    return known_role(role)


def known_role(role: object) -> object:
    """Return a role by the service's name for it; what is no role is left as it is."""
    value = role.value if isinstance(role, enum.Enum) else role
    return _ROLES.get(value.lower(), value) if isinstance(value, str) else value


def _dumped(given: object) -> Mapping[str, Any] | None:
    dump = getattr(given, "model_dump", None)
    dumped = dump() if callable(dump) else None
    return dumped if isinstance(dumped, Mapping) else None
