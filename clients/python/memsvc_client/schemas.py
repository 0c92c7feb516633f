"""JSON Schemas of what people write schemas as: dataclasses, nested ones too, pydantic models, or the schema itself."""

from __future__ import annotations

import collections.abc
import dataclasses
import datetime as dates
import decimal
import enum
import json
import types
import uuid
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Union, get_args, get_origin, get_type_hints

SchemaLike = Mapping[str, Any] | str | type
"""A JSON Schema as a dict or as text, a dataclass, or a pydantic model."""

_PLAIN: Mapping[Any, Mapping[str, Any]] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
    type(None): {"type": "null"},
    dates.datetime: {"type": "string", "format": "date-time"},
    dates.date: {"type": "string", "format": "date"},
    dates.time: {"type": "string", "format": "time"},
    dates.timedelta: {"type": "string", "format": "duration"},
    uuid.UUID: {"type": "string", "format": "uuid"},
    decimal.Decimal: {"type": "number"},
    Any: {},
    object: {},
}
_LISTS = (list, set, frozenset, collections.abc.Sequence, collections.abc.Iterable, collections.abc.Set)
_OBJECTS = (dict, collections.abc.Mapping)


def schema_json(name: str, given: SchemaLike) -> str:
    """Return a schema as text. Raises TypeError or ValueError, naming `name`, for what is none."""
    if isinstance(given, str):
        return given
    if isinstance(given, Mapping):
        return _text(name, given)
    if isinstance(given, type):
        of_pydantic = getattr(given, "model_json_schema", None)
        if callable(of_pydantic):
            return _text(name, of_pydantic())
        if dataclasses.is_dataclass(given):
            return _text(name, _Definitions(name).document(given))
    kinds = "a dataclass, a pydantic model or a JSON Schema (a dict, or text)"
    raise TypeError(f"{name} must be {kinds}, not {given!r:.80}")


def _text(name: str, schema: Mapping[str, Any]) -> str:
    try:
        return json.dumps(schema, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{name} is no JSON: {error}") from None


class _Definitions:
    """The dataclasses of one schema: each is defined once, so that they may name each other, and themselves."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._names: dict[type, str] = {}
        self._defined: dict[str, Any] = {}

    def document(self, kind: type) -> Mapping[str, Any]:
        reference = self._of(kind, self._name)
        own = self._defined.pop(self._names[kind])
        if reference["$ref"] in json.dumps([own, self._defined]):
            self._defined[self._names[kind]] = own
        return {**own, "$defs": self._defined} if self._defined else own

    def _of(self, kind: Any, path: str) -> dict[str, Any]:
        """Return the schema of a type. Raises TypeError for one that has none."""
        if kind in _PLAIN:
            return dict(_PLAIN[kind])
        if isinstance(kind, type) and dataclasses.is_dataclass(kind):
            if kind not in self._names:
                self._define(kind, path)
            return {"$ref": f"#/$defs/{self._names[kind]}"}
        if isinstance(kind, type) and issubclass(kind, enum.Enum):
            return {"enum": [member.value for member in kind]}
        if isinstance(kind, type) and callable(getattr(kind, "model_json_schema", None)):
            raise TypeError(f"{path}: a pydantic model inside a dataclass has to be one, too: make both the same")
        return self._generic(kind, path)

    def _generic(self, kind: Any, path: str) -> dict[str, Any]:
        origin, arguments = get_origin(kind) or kind, get_args(kind)
        if origin is Annotated:
            described = next((each for each in arguments[1:] if isinstance(each, str)), "")
            schema = self._of(arguments[0], path)
            return {**schema, "description": described} if described else schema
        if origin is Literal:
            return {"enum": list(arguments)}
        if origin in (Union, types.UnionType):
            return {"anyOf": [self._of(each, path) for each in arguments]}
        if origin is tuple and arguments and arguments[-1] is not ...:
            prefix = [self._of(each, f"{path}[{index}]") for index, each in enumerate(arguments)]
            return {"type": "array", "prefixItems": prefix, "maxItems": len(prefix)}
        if origin in (*_LISTS, tuple):
            items = {"items": self._of(arguments[0], f"{path}[]")} if arguments else {}
            return {"type": "array", **items}
        if origin in _OBJECTS:
            values = {"additionalProperties": self._of(arguments[1], f"{path}.*")} if arguments else {}
            return {"type": "object", **values}
        raise TypeError(f"{path}: {kind!r:.80} has no JSON Schema: give it as one")

    def _define(self, kind: type, path: str) -> None:
        name = kind.__name__
        while name in self._defined:
            name += "_"
        self._names[kind] = name
        self._defined[name] = {}
        hints = get_type_hints(kind, include_extras=True)
        properties = {}
        for each in dataclasses.fields(kind):
            if get_origin(hints[each.name]) is not ClassVar:
                properties[each.name] = self._of(hints[each.name], f"{path}.{each.name}")
                if described := each.metadata.get("description"):
                    properties[each.name]["description"] = described
        self._defined[name] = {"title": kind.__name__, "type": "object", "properties": properties}
