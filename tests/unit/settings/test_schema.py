"""Schemas of layers: what fits does, what does not is named, and no schema or value takes for ever."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memsvc.errors import InvalidArgument
from memsvc.settings.schema import Schema, compile_schema

NAMES = ("role", "stack", "years", "x1", "Tools")


def schema(document: dict[str, Any]) -> Schema:
    return compile_schema(json.dumps(document))


scalars: list[tuple[dict[str, Any], st.SearchStrategy[Any]]] = [
    ({"type": "string"}, st.text(max_size=5)),
    ({"type": "integer"}, st.integers(-1000, 1000)),
    ({"type": "number"}, st.integers(-5, 5) | st.floats(-5, 5)),
    ({"type": "boolean"}, st.booleans()),
    ({"type": ["string", "null"]}, st.none() | st.text(max_size=3)),
    ({"enum": ["a", 2, None]}, st.sampled_from(["a", 2, None])),
    ({"const": {"a": [1]}}, st.just({"a": [1]})),
    ({"type": "integer", "minimum": 3, "exclusiveMaximum": 9}, st.integers(3, 8)),
    ({"type": "string", "minLength": 2, "maxLength": 4}, st.text(min_size=2, max_size=4)),
    ({"type": "integer", "multipleOf": 5}, st.integers(-9, 9).map(lambda number: number * 5)),
    ({"anyOf": [{"type": "string"}, {"type": "integer"}]}, st.text(max_size=3) | st.integers(0, 9)),
    ({"allOf": [{"type": "integer"}, {"minimum": 1}]}, st.integers(1, 9)),
    ({"$ref": "#/$defs/Level"}, st.sampled_from(["junior", "senior"])),
]
LEVEL = {"Level": {"enum": ["junior", "senior"]}}
NO_VALUE = {"a": {"b": object}}


@st.composite
def documents(draw: st.DrawFn, depth: int = 2) -> tuple[dict[str, Any], dict[str, Any]]:
    """Draw a schema, and by dotted key a value that fits it."""
    properties: dict[str, Any] = {}
    values: dict[str, Any] = {}
    for name in draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=4, unique=True)):
        kind = draw(st.sampled_from(("scalar", "list", "object") if depth else ("scalar", "list")))
        if kind == "object":
            inner, fitting = draw(documents(depth - 1))
            wrapped = draw(st.sampled_from((inner, {"anyOf": [inner, {"type": "null"}]}, {"allOf": [inner]})))
            properties[name] = wrapped
            values |= {f"{name}.{key}": value for key, value in fitting.items()}
            continue
        element, strategy = draw(st.sampled_from(scalars))
        if kind == "scalar":
            properties[name], values[name] = element, draw(strategy)
        else:
            properties[name] = {"type": "array", "items": element, "maxItems": 4}
            values[name] = draw(st.lists(strategy, max_size=4))
    return {"type": "object", "properties": properties, "required": list(properties)}, values


@given(documents())
@settings(deadline=None, max_examples=120)
def test_what_fits_each_key_fits_and_every_key_is_named(drawn: tuple[dict[str, Any], dict[str, Any]]) -> None:
    document, values = drawn
    compiled = schema({**document, "$defs": LEVEL})
    assert set(compiled.keys) == set(values)
    for key, value in values.items():
        assert compiled.misfit(key, value) is None
        assert compiled.fitted(key, value) is value
        assert compiled.misfit(f"other_{key}", value) is None


@given(documents(), st.data())
@settings(deadline=None, max_examples=120)
def test_what_is_of_no_type_that_a_key_has_is_refused_by_name(
    drawn: tuple[dict[str, Any], dict[str, Any]], data: st.DataObject
) -> None:
    document, values = drawn
    compiled = schema({**document, "$defs": LEVEL})
    key = data.draw(st.sampled_from(sorted(values)))
    # No schema above takes this.
    wrong = data.draw(st.sampled_from(({"a": {"b": "c"}}, [[["x"]]])))
    misfit = compiled.misfit(key, wrong)
    assert misfit is not None
    assert misfit.path.startswith(key)
    assert not misfit.is_unknown_key
    assert compiled.fitted(key, wrong) == wrong


@pytest.mark.parametrize(
    ("document", "key", "value", "path"),
    [
        ({"properties": {"a": {"type": "integer"}}}, "a", "x", "a"),
        ({"properties": {"a": {"type": "integer"}}}, "a", True, "a"),
        ({"properties": {"a": {"type": "integer"}}}, "a", 1.5, "a"),
        ({"properties": {"a": {"type": "integer"}}}, "a.b", 1, "a.b"),
        ({"properties": {"a": {"enum": [1]}}}, "a", True, "a"),
        ({"properties": {"a": {"items": {"type": "string"}, "type": "array"}}}, "a", ["x", 1], "a[1]"),
        ({"properties": {"a": {"properties": {"b": {"type": "null"}}}}}, "a", {"b": 0}, "a.b"),
        ({"properties": {"a": {"properties": {"b": {"type": "null"}}}}}, "a.b", 0, "a.b"),
        ({"properties": {"a": {"uniqueItems": True, "type": "array"}}}, "a", [1, 1.0], "a"),
        ({"properties": {"a": {"prefixItems": [{"type": "string"}], "items": False}}}, "a", ["x", "y"], "a[1]"),
        ({"properties": {"a": {}}, "additionalProperties": False}, "b", 1, "b"),
        ({"properties": {"a": {"properties": {}, "additionalProperties": False}}}, "a", {"c": 1}, "a.c"),
        ({"properties": {"a": {"additionalProperties": {"type": "integer"}}}}, "a.go", "x", "a.go"),
        ({"additionalProperties": {"type": "string"}}, "any.thing", "x", "any.thing"),
        ({"properties": {"a": {"oneOf": [{"type": "integer"}, {"minimum": 2}]}}}, "a", 3, "a"),
        ({"properties": {"a": {"$ref": "#/$defs/T"}}, "$defs": {"T": {"properties": {"a": {"$ref": "#/$defs/T"}}}}},
         "a.a.a", 1, "a.a.a"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_named(document: dict[str, Any], key: str, value: object, path: str) -> None:
    misfit = schema(document).misfit(key, value)
    assert misfit is not None
    assert misfit.path == path


@pytest.mark.parametrize(
    ("document", "key", "value"),
    [
        ({"properties": {"a": {"type": "integer"}}, "required": ["a", "b"]}, "b", "x"),
        ({"properties": {"a": {"properties": {"b": {}}, "required": ["b"]}}}, "a", {}),
        ({"properties": {"a": {"type": "integer"}}}, "a", 2.0),
        ({"properties": {"a": {"format": "date", "title": "A", "x-mine": 1, "default": 5}}}, "a", "no date"),
        ({"properties": {"a": {"$ref": "#/definitions/A"}}, "definitions": {"A": {"type": "string"}}}, "a", "x"),
        ({"properties": {"a": {"anyOf": [{"$ref": "#/$defs/B"}, {"type": "null"}]}}, "$defs": {"B": {}}}, "a.c", 1),
        ({"properties": {"a": True}}, "a.b.c", [1]),
        ({}, "any.thing", None),
    ],
)  # fmt: skip
def test_what_is_not_bound_fits(document: dict[str, Any], key: str, value: object) -> None:
    assert schema(document).misfit(key, value) is None


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("nonsense", "s"),
        ("[1]", "s"),
        ('{"type": "array"}', "s.type"),
        ('{"properties": []}', "s.properties"),
        ('{"properties": {"a": 5}}', "s.properties.a"),
        ('{"properties": {"a": {"type": "text"}}}', "s.properties.a.type"),
        ('{"properties": {"a": {"minimum": "x"}}}', "s.properties.a.minimum"),
        ('{"properties": {"a": {"multipleOf": 0}}}', "s.properties.a.multipleOf"),
        ('{"properties": {"a": {"enum": []}}}', "s.properties.a.enum"),
        ('{"properties": {"a": {"anyOf": []}}}', "s.properties.a.anyOf"),
        ('{"properties": {"a": {"pattern": "(a+)+$"}}}', "s.properties.a.pattern"),
        ('{"properties": {"a": {"not": {}}}}', "s.properties.a.not"),
        ('{"properties": {"a": {"$ref": "other.json"}}}', "s.properties.a.$ref"),
        ('{"properties": {"first name": {}}}', "s.properties.first name"),
        ('{"$ref": "#"}', "s"),
        ('{"properties": {"a": {"$ref": "#/$defs/A"}}, "$defs": {"A": {"$ref": "#/$defs/A"}}}', "s"),
    ],
)
def test_what_is_no_schema_or_would_not_be_kept_is_refused(text: str, field: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        compile_schema(text, "s")
    assert [each.field for each in refused.value.fields] == [field]


def test_who_gives_a_pattern_is_told_why_not_and_what_to_do_instead() -> None:
    with pytest.raises(InvalidArgument) as refused:
        compile_schema('{"properties": {"code": {"type": "string", "pattern": "^[A-Z]{3}$"}}}', "schema_json")
    (violation,) = refused.value.fields
    assert violation.field == "schema_json.properties.code.pattern"
    assert "is not supported" in violation.description
    assert "minLength and maxLength" in violation.description


def test_a_small_schema_that_grows_without_end_is_read_soon_and_bound_in_time() -> None:
    doubled = {f"D{n}": {"allOf": [{"$ref": f"#/$defs/D{n + 1}"}] * 2} for n in range(14)}
    doubled["D14"] = {"type": "array", "items": {"anyOf": [{"$ref": "#/$defs/D14"}] * 2}}
    deep: Any = 1
    for _ in range(300):
        deep = [deep]
    started = time.process_time()
    compiled = schema({"properties": {"a": {"$ref": "#/$defs/D0"}}, "$defs": doubled})
    assert compiled.misfit("a", deep) is not None
    assert compiled.misfit("a.b.c", 1) is not None
    children = {name: {"$ref": "#/$defs/Node"} for name in "abcde"}
    nested = schema({"properties": children, "$defs": {"Node": {"properties": children}}})
    assert len(nested.keys) <= 500
    assert time.process_time() - started < 5


def test_keys_have_what_the_schema_says_of_them() -> None:
    compiled = schema(
        {
            "properties": {
                "role": {"type": "string", "description": "What they\ndo"},
                "stack": {
                    "title": "Stack",
                    "properties": {"languages": {"type": "array", "title": "Languages"}, "editor": {"type": "string"}},
                },
            }
        }
    )
    assert compiled.keys == {"role": "What they do", "stack.languages": "Languages", "stack.editor": ""}
    assert compiled.list_keys == {"stack.languages"}
