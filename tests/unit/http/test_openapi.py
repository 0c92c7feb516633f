"""docs/openapi.yaml describes every call that can be made with one request and one reply."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from google.protobuf import json_format, message_factory

from memsvc.rpc.services import SERVICES

DOCUMENT = yaml.safe_load((Path(__file__).parents[3] / "docs" / "openapi.yaml").read_text())
METHODS = {f"/{service.full_name}/{method.name}": method for service in SERVICES for method in service.methods}
UNARY = {path: method for path, method in METHODS.items() if not (method.server_streaming or method.client_streaming)}


def references(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        yield from (value for key, value in part.items() if key == "$ref")
        part = list(part.values())
    if isinstance(part, list):
        for each in part:
            yield from references(each)


def resolved(reference: str) -> Any:
    found = DOCUMENT
    for name in reference.removeprefix("#/").split("/"):
        found = found[name]
    return found


def test_every_unary_method_is_described_and_nothing_else() -> None:
    assert set(DOCUMENT["paths"]) == set(UNARY)


def test_every_reference_leads_somewhere() -> None:
    assert all(resolved(reference) for reference in references(DOCUMENT))


@pytest.mark.parametrize("path", UNARY)
def test_names_are_those_that_the_server_reads(path: str) -> None:
    """What is described of a request, with a value of the kind that is described, is read by protobuf's own JSON."""
    described = DOCUMENT["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"]["$ref"]
    kind = message_factory.GetMessageClass(UNARY[path].input_type)
    for name, schema in resolved(described).get("properties", {}).items():
        json_format.ParseDict({name: example(schema)}, kind())


def example(schema: dict[str, Any]) -> Any:
    if "$ref" in schema:
        return example(resolved(schema["$ref"]))
    if "enum" in schema:
        return schema["enum"][0]
    if schema["type"] == "array":
        return [example(schema["items"])]
    if schema.get("format") == "date-time":
        return "2026-11-28T21:27:09Z"
    if schema.get("examples"):
        return schema["examples"][0]
    if schema.get("format") == "int64":
        return "7"
    return {"string": "", "boolean": True, "integer": 1, "number": 0.5, "object": {}}[schema["type"]]
