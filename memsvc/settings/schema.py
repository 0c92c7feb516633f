"""A layer's schema: what its keys and values have to be, as a JSON Schema that is read once.

A schema describes the layer's whole document; a write brings one value to one key. So types are by key, nested objects
are dotted keys, and `required` says nothing: what is missing may still come. For example, with

    {"properties": {"years": {"type": "integer"}, "stack": {"properties": {"languages": {"type": "array"}}}}}

the keys are `years` and `stack.languages`. A key that the schema does not have is kept, unless `additionalProperties`
says no. What would be a promise that is not kept (a `pattern`, a remote `$ref`) is refused when the schema is given;
annotations (`title`, `format`, `default`) bind nothing. Memory and time are bounded: a schema is small, and a value
that takes too many steps does not fit.
"""

from __future__ import annotations

import functools
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from msgspec import Struct, field

from memsvc.errors import invalid

SCHEMA_BYTES: Final = 16 << 10
_MOST_KEYS: Final = 500
_DEEPEST: Final = 32
_DEEPEST_KEY: Final = 8
_NAMED_VALUES: Final = 10
_MOST_STEPS: Final = 20_000
"""What one value may take: `anyOf` in what refers to itself could take for ever."""

_TYPES: Final = ("object", "array", "string", "integer", "number", "boolean", "null")
_SEGMENT: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]*\Z")
_NOT_KEPT: Final = frozenset(
    (
        "pattern",
        "patternProperties",
        "propertyNames",
        "not",
        "if",
        "then",
        "else",
        "contains",
        "dependentSchemas",
        "dependencies",
        "unevaluatedItems",
        "unevaluatedProperties",
        "additionalItems",
        "$dynamicRef",
        "$recursiveRef",
    )
)
"""Keywords that would bind values, and that are not understood here."""
_EXPRESSION: Final = ": some regular expressions take for ever, and values would be checked while others wait"
_INSTEAD: Final = {
    "pattern": f"{_EXPRESSION}. Use enum, const, minLength and maxLength, or say it in capture_instructions",
    "patternProperties": f"{_EXPRESSION}. Name the keys in properties",
    "propertyNames": ". Name the keys in properties, and set additionalProperties to false",
    "not": ". Say what is allowed, by enum or anyOf",
    "contains": ". Say what each element is, by items",
}
"""What to do in place of some of them."""
_LEAST_AND_MOST: Final = {
    "minimum": lambda value, bound: value >= bound,
    "maximum": lambda value, bound: value <= bound,
    "exclusiveMinimum": lambda value, bound: value > bound,
    "exclusiveMaximum": lambda value, bound: value < bound,
}
_LENGTHS: Final = {
    "minLength": (str, "characters", "at least"),
    "maxLength": (str, "characters", "at most"),
    "minItems": (list, "elements", "at least"),
    "maxItems": (list, "elements", "at most"),
}


class Misfit(NamedTuple):
    """Why a value does not fit."""

    path: str
    """Where in the layer's document: `stack.languages[1]`."""
    description: str
    """What it must be; nothing of the value itself."""
    is_unknown_key: bool = False
    """The schema has no such key, and takes no others."""


class _Node(Struct, frozen=True):
    """One schema, read. `refers` names another one that it stands for."""

    types: frozenset[str] = frozenset()
    """Empty: any."""
    values: tuple[str, ...] | None = None
    """What it may be (`enum`, `const`), as canonical JSON; None: anything."""
    bounds: Mapping[str, float] = {}
    lengths: Mapping[str, int] = {}
    multiple_of: float = 0.0
    unique: bool = False
    properties: Mapping[str, _Node] = {}
    additional: _Node | None = None
    """What other properties have to be; None: anything."""
    prefix: tuple[_Node, ...] = ()
    items: _Node | None = None
    all_of: tuple[_Node, ...] = ()
    any_of: tuple[_Node, ...] = ()
    one_of: tuple[_Node, ...] = ()
    refers: str = ""
    description: str = ""
    never: bool = False
    """Nothing fits."""


_ANY: Final = _Node()
_NEVER: Final = _Node(never=True)


class Schema(Struct, frozen=True):
    """A layer's schema."""

    text: str
    """As it was given."""
    keys: Mapping[str, str]
    """The keys that it names, dotted, each with what it says of it; in its order."""
    list_keys: frozenset[str]
    """Those whose value is a list: statements add to it."""
    _root: _Node = field(default=_ANY)
    _definitions: Mapping[str, _Node] = field(default_factory=dict)

    def misfit(self, key: str, value: object) -> Misfit | None:
        """Return why `value` does not fit at `key`; None: it does."""
        place = self._at(key)
        if place.never:
            return Misfit(key, "is not a key of the layer's schema", is_unknown_key=True)
        return _Fitting(self._definitions).misfit(place, value, key)

    def fitted(self, key: str, value: object) -> object:
        """Return what a model meant by `value` at `key`: one element for a list, a number for a text that is one.

        What fits, or cannot be made to, comes back as it is.
        """
        if self.misfit(key, value) is None:
            return value
        meant: list[object] = [[value]] if key in self.list_keys and not isinstance(value, list) else []
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            meant.append(str(value))
        if isinstance(value, str):
            number = _number(value)
            meant.extend(() if number is None else (number,))
        return next((each for each in meant if self.misfit(key, each) is None), value)

    def _at(self, key: str) -> _Node:
        node = self._root
        for name in key.split("."):
            node = self._below(node, name, {})
        return node

    def _below(self, node: _Node, name: str, known: dict[int, _Node]) -> _Node:
        """Return what has to be at a property of what `node` describes; `known`: of what was asked before."""
        if id(node) not in known:
            known[id(node)] = self._property(node, name, known)
        return known[id(node)]

    def _property(self, node: _Node, name: str, known: dict[int, _Node]) -> _Node:
        if node.refers:
            return self._below(self._definitions[node.refers], name, known)
        if node.never or (node.types and "object" not in node.types):
            return _NEVER
        own = node.properties.get(name)
        if own is None:
            own = node.additional if node.additional is not None else _ANY
        parts = [own, *(self._below(each, name, known) for each in node.all_of)]
        for choice in (node.any_of, node.one_of):
            if choice:
                some = [self._below(each, name, known) for each in choice]
                possible = tuple(each for each in some if not each.never)
                parts.append(_Node(any_of=possible) if possible else _NEVER)
        if any(part.never for part in parts):
            return _NEVER
        binding = [part for part in parts if part is not _ANY]
        return binding[0] if len(binding) == 1 else _Node(all_of=tuple(binding))


class _Fitting:
    """One look at whether a value fits."""

    def __init__(self, definitions: Mapping[str, _Node]) -> None:
        self._definitions = definitions
        self._steps = 0

    def misfit(self, node: _Node, value: object, path: str, depth: int = 0) -> Misfit | None:
        self._steps += 1
        if self._steps > _MOST_STEPS or depth > _DEEPEST:
            return Misfit(path, "is nested too deep to be checked")
        if node.refers:
            return self.misfit(self._definitions[node.refers], value, path, depth + 1)
        found = self._own(node, value, path) or self._parts(node, value, path, depth)
        return found or self._of(node, value, path, depth)

    def _own(self, node: _Node, value: object, path: str) -> Misfit | None:
        if node.never:
            return Misfit(path, "must not be there")
        if node.types and not any(_is(value, name) for name in node.types):
            return Misfit(path, f"must be {_listed(sorted(node.types, key=_TYPES.index))}")
        if node.values is not None and _canonical(value) not in node.values:
            return Misfit(path, f"must be one of: {', '.join(node.values[:_NAMED_VALUES])}")
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            for name, bound in node.bounds.items():
                if not _LEAST_AND_MOST[name](value, bound):
                    return Misfit(path, f"breaks its {name}, {bound:g}")
            if node.multiple_of and not _is_multiple(value, node.multiple_of):
                return Misfit(path, f"must be a multiple of {node.multiple_of:g}")
        if isinstance(value, (str, list)):
            for name, limit in node.lengths.items():
                kind, what, bound_word = _LENGTHS[name]
                too_far = len(value) < limit if bound_word == "at least" else len(value) > limit
                if isinstance(value, kind) and too_far:
                    return Misfit(path, f"must have {bound_word} {limit} {what}")
        if isinstance(value, list) and node.unique and len({_canonical(each) for each in value}) < len(value):
            return Misfit(path, "must not have the same element twice")
        return None

    def _parts(self, node: _Node, value: object, path: str, depth: int) -> Misfit | None:
        """Look at the elements of a list, or the properties of an object."""
        if isinstance(value, list):
            for index, each in enumerate(value):
                part = node.prefix[index] if index < len(node.prefix) else node.items
                found = self.misfit(part, each, f"{path}[{index}]", depth + 1) if part is not None else None
                if found is not None:
                    return found
        if isinstance(value, dict):
            for name, each in value.items():
                part = node.properties.get(name, node.additional)
                if part is None:
                    continue
                found = self.misfit(part, each, f"{path}.{name}", depth + 1)
                if found is not None:
                    return Misfit(f"{path}.{name}", "is not in the schema") if part.never else found
        return None

    def _of(self, node: _Node, value: object, path: str, depth: int) -> Misfit | None:
        for each in node.all_of:
            found = self.misfit(each, value, path, depth + 1)
            if found is not None:
                return found
        for choice, is_one in ((node.any_of, False), (node.one_of, True)):
            if choice:
                found_all = [self.misfit(each, value, path, depth + 1) for each in choice]
                fitting = found_all.count(None)
                if fitting == 0:
                    return _of_choice(choice, found_all, path)
                if is_one and fitting > 1:
                    return Misfit(path, "fits more than one of the schema's oneOf")
        return None


def _of_choice(choice: Sequence[_Node], found: Sequence[Misfit | None], path: str) -> Misfit:
    """Return why none of a choice fits: of one that is more than a null, what is wrong with it."""
    named = [misfit for node, misfit in zip(choice, found, strict=True) if node.types != {"null"}]
    if len(named) == 1 and named[0] is not None:
        return named[0]
    types = sorted({name for node in choice for name in node.types}, key=_TYPES.index)
    return Misfit(path, f"must be {_listed(types)}" if types else "fits none of the schema's choices")


@functools.lru_cache(maxsize=256)
def compile_schema(text: str, path: str = "schema_json") -> Schema:
    """Return the schema. Raises InvalidArgument, naming the place below `path`, for what is none or is not kept."""
    if len(text.encode()) > SCHEMA_BYTES:
        raise invalid(path, f"must be at most {SCHEMA_BYTES} bytes")
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        raise invalid(path, "must be JSON") from None
    if not isinstance(document, dict):
        raise invalid(path, "must be a JSON Schema: an object")
    reader = _Reader(document, path)
    root = reader.read(document, path, 0)
    if root.types and "object" not in root.types:
        raise invalid(f"{path}.type", "must be object: a schema describes the layer's document")
    reader.check_references()
    keys, list_keys = _keys(root, reader.definitions, path)
    return Schema(text, keys, frozenset(list_keys), root, reader.definitions)


class _Reader:
    """Reads one document."""

    def __init__(self, document: Mapping[str, Any], path: str) -> None:
        self._document = document
        self._path = path
        self.definitions: dict[str, _Node] = {}
        self._being_read: set[str] = set()

    def read(self, schema: object, path: str, depth: int) -> _Node:
        if schema is True:
            return _ANY
        if schema is False:
            return _NEVER
        if not isinstance(schema, dict):
            raise invalid(path, "must be a schema: an object, true or false")
        if depth > _DEEPEST:
            raise invalid(path, f"must not be nested deeper than {_DEEPEST}")
        for name in schema:
            if name in _NOT_KEPT:
                raise invalid(f"{path}.{name}", f"is not supported{_INSTEAD.get(name, '')}")

        def sub(name: str) -> _Node | None:
            return self.read(schema[name], f"{path}.{name}", depth + 1) if name in schema else None

        def several(name: str) -> tuple[_Node, ...]:
            given = schema.get(name, [])
            if not isinstance(given, list) or (name in schema and not given):
                raise invalid(f"{path}.{name}", "must be a list of schemas")
            return tuple(self.read(each, f"{path}.{name}[{index}]", depth + 1) for index, each in enumerate(given))

        reference = self._reference(schema.get("$ref"), f"{path}.$ref", depth) if "$ref" in schema else None
        items = schema.get("items")
        prefix = several("prefixItems")
        if isinstance(items, list):
            # The form before 2020: a list by position.
            prefix = tuple(self.read(each, f"{path}.items[{index}]", depth + 1) for index, each in enumerate(items))
        return _Node(
            # What has properties is an object, though it does not say so.
            types=_types(schema.get("type", "object" if "properties" in schema else None), f"{path}.type"),
            values=_values(schema, path),
            bounds=_numbers(schema, _LEAST_AND_MOST, path),
            lengths={name: int(value) for name, value in _numbers(schema, _LENGTHS, path).items()},
            multiple_of=_numbers(schema, ("multipleOf",), path).get("multipleOf", 0.0),
            unique=schema.get("uniqueItems") is True,
            properties=self._properties(schema, path, depth),
            additional=sub("additionalProperties"),
            prefix=prefix,
            items=None if isinstance(items, list) else sub("items"),
            all_of=(*several("allOf"), *(() if reference is None else (reference,))),
            any_of=several("anyOf"),
            one_of=several("oneOf"),
            description=_description(schema),
        )

    def _properties(self, schema: Mapping[str, Any], path: str, depth: int) -> Mapping[str, _Node]:
        given = schema.get("properties", {})
        if not isinstance(given, dict):
            raise invalid(f"{path}.properties", "must be an object of schemas")
        return {name: self.read(each, f"{path}.properties.{name}", depth + 1) for name, each in given.items()}

    def _reference(self, reference: object, path: str, depth: int) -> _Node:
        if not isinstance(reference, str) or not (reference == "#" or reference.startswith("#/")):
            raise invalid(path, "must point into this schema: #/$defs/...")
        if reference not in self.definitions and reference not in self._being_read:
            self._being_read.add(reference)
            self.definitions[reference] = self.read(self._found(reference, path), path, depth + 1)
        return _Node(refers=reference)

    def _found(self, reference: str, path: str) -> object:
        found: object = self._document
        for name in reference.split("/")[1:]:
            name = name.replace("~1", "/").replace("~0", "~")
            if not isinstance(found, dict) or name not in found:
                raise invalid(path, f"points to {reference}, which is not there")
            found = found[name]
        return found

    def check_references(self) -> None:
        """Raise for a schema that stands for nothing but itself."""
        done: set[str] = set()
        for name in self.definitions:
            self._follow(_Node(refers=name), (), done)

    def _follow(self, node: _Node, passed: tuple[str, ...], done: set[str]) -> None:
        name = node.refers
        if name in done:
            return
        if name:
            if name in passed:
                raise invalid(self._path, f"{name} stands for itself")
            if len(passed) > _DEEPEST:
                raise invalid(self._path, f"must not be nested deeper than {_DEEPEST}")
            passed = (*passed, name)
            node = self.definitions[name]
        for each in (*node.all_of, *node.any_of, *node.one_of):
            self._follow(each, passed, done)
        if name:
            done.add(name)


def _types(given: object, path: str) -> frozenset[str]:
    named = given if isinstance(given, list) else [] if given is None else [given]
    for name in named:
        if name not in _TYPES:
            raise invalid(path, f"must be one of: {', '.join(_TYPES)}")
    return frozenset(named)


def _values(schema: Mapping[str, Any], path: str) -> tuple[str, ...] | None:
    if "const" in schema:
        return (_canonical(schema["const"]),)
    if "enum" not in schema:
        return None
    if not isinstance(schema["enum"], list) or not schema["enum"]:
        raise invalid(f"{path}.enum", "must be a list of values")
    return tuple(map(_canonical, schema["enum"]))


def _numbers(schema: Mapping[str, Any], names: Iterator[str] | Any, path: str) -> dict[str, float]:
    found = {name: schema[name] for name in names if name in schema}
    for name, value in found.items():
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
            raise invalid(f"{path}.{name}", "must be a number")
        if name == "multipleOf" and value <= 0:
            raise invalid(f"{path}.{name}", "must be above 0")
    return found


def _description(schema: Mapping[str, Any]) -> str:
    given = schema.get("description") or schema.get("title") or ""
    return " ".join(given.split()) if isinstance(given, str) else ""


def _keys(root: _Node, definitions: Mapping[str, _Node], path: str) -> tuple[dict[str, str], set[str]]:
    """Return the keys that a schema names, with their descriptions, and which of them are lists."""
    keys: dict[str, str] = {}
    lists: set[str] = set()

    def walk(node: _Node, key: str, description: str, passed: tuple[str, ...]) -> None:
        nodes = list(_alternatives(node, definitions, passed, set()))
        description = description or next((each.description for each, _ in nodes if each.description), "")
        named = [(name, each, came) for inner, came in nodes for name, each in inner.properties.items()]
        depth = key.count(".") + 1 if key else 0
        if key and (not named or depth >= _DEEPEST_KEY):
            keys.setdefault(key, description)
            if any("array" in each.types for each, _ in nodes):
                lists.add(key)
            if len(keys) > _MOST_KEYS:
                raise invalid(path, f"must have at most {_MOST_KEYS} keys")
            return
        for name, each, came in named:
            if not _SEGMENT.match(name):
                raise invalid(f"{path}.properties.{name}", "must be a key: [A-Za-z][A-Za-z0-9_]*")
            walk(each, f"{key}.{name}" if key else name, each.description, came)

    walk(root, "", "", ())
    return keys, lists


def _alternatives(
    node: _Node, definitions: Mapping[str, _Node], passed: tuple[str, ...], seen: set[str]
) -> Iterator[tuple[_Node, tuple[str, ...]]]:
    """Yield a schema and those that it is put together from, each with the references that led there, none twice."""
    if node.refers:
        if node.refers not in passed and node.refers not in seen:
            seen.add(node.refers)
            yield from _alternatives(definitions[node.refers], definitions, (*passed, node.refers), seen)
        return
    yield node, passed
    for each in (*node.all_of, *node.any_of, *node.one_of):
        yield from _alternatives(each, definitions, passed, seen)


def _is(value: object, name: str) -> bool:
    return _IS[name](value)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


_IS: Final[Mapping[str, Callable[[object], bool]]] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "integer": lambda value: _is_number(value) and float(value).is_integer(),  # type: ignore[arg-type]
    "number": _is_number,
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
}


def _canonical(value: object) -> str:
    """Return JSON that is the same for the same values: 1 is 1.0, and neither is true."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def _is_multiple(value: float, of: float) -> bool:
    quotient = value / of
    return math.isclose(quotient, round(quotient), rel_tol=0, abs_tol=1e-9)


def _number(text: str) -> float | int | None:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if _is_number(value) and math.isfinite(value) else None


def _listed(types: Sequence[str]) -> str:
    words = [f"an {name}" if name[0] in "aio" else name if name == "null" else f"a {name}" for name in types]
    return " or ".join(words)
