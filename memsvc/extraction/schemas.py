"""The layers' schemas, as engines see them: canonical keys from `schemas.toml`, and what is configured instead."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

import msgspec
from msgspec.structs import replace

from memsvc.extraction.engine import LayerSchema
from memsvc.json_text import json_text
from memsvc.model import Layer
from memsvc.settings import LayerSettings, MemorySettings

SCHEMAS_FILE: Final = Path(__file__).with_name("schemas.toml")
_KEY: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]*(?:\.[A-Za-z][A-Za-z0-9_]*)*")


def default_schemas() -> tuple[LayerSchema, ...]:
    """Return the schemas of the four layers, in the order of `Layer`."""
    return tuple(
        LayerSchema(
            layer,
            section.description,
            {key: entry if isinstance(entry, str) else entry.meaning for key, entry in section.keys.items()},
            tuple(key for key, entry in section.keys.items() if isinstance(entry, _ListEntry)),
        )
        for layer, section in _sections().items()
    )


def schemas_under(settings: MemorySettings) -> tuple[LayerSchema, ...]:
    """Return the schemas of the layers that are learned into, as they are configured."""
    return tuple(
        _configured(schema, settings.layers[schema.layer])
        for schema in default_schemas()
        if settings.layers[schema.layer].learned
    )


def _configured(schema: LayerSchema, settings: LayerSettings) -> LayerSchema:
    if settings == LayerSettings():
        return schema
    description = settings.prompt or schema.description
    if settings.capture_instructions:
        description = f"{description} {settings.capture_instructions}"
    if settings.stated_only:
        description = f"{description} Only what is stated, nothing inferred."
    if settings.schema is None:
        return replace(schema, description=description)
    keys, list_keys = settings.schema.keys, tuple(settings.schema.list_keys)
    return LayerSchema(schema.layer, description, keys, list_keys)


def is_list_key(layer: Layer, key: str) -> bool:
    """Tell whether the value of a canonical key is a list, to which statements add."""
    return (layer, key) in _list_texts()


def in_form(layer: Layer, key: str, value_json: str, text: str) -> str:
    """Return a value as its canonical key takes it: a list for a list key, for any other no list of one.

    A model that adds French to the languages says "French", or gives its sentence alone, as often as `["French"]`; what
    is no list would take the place of all that is there. And `["Lyon"]` would be added to where the user lived before.
    """
    try:
        value = json.loads(value_json) if value_json else None
    except ValueError:
        return value_json  # refused with the memory
    if is_list_key(layer, key):
        return value_json if isinstance(value, list) else json_text([text if value is None else value])
    if is_single_key(layer, key) and isinstance(value, list) and len(value) == 1:
        return json_text(value[0])
    return value_json


def is_single_key(layer: Layer, key: str) -> bool:
    """Tell whether a canonical key has one value, which a later statement replaces."""
    return key in _sections()[layer].keys and not is_list_key(layer, key)


def list_text(layer: Layer, key: str, values: Iterable[object]) -> str:
    """Return the sentence of a memory that holds `values` under a list key: `Speaks French, German`."""
    return _list_texts()[layer, key].format(", ".join(str(value) for value in values))


class _ListEntry(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    meaning: str
    list_text: str


class _Section(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    description: str
    keys: dict[str, str | _ListEntry]


@functools.cache
def _sections() -> Mapping[Layer, _Section]:
    import tomllib

    document = tomllib.loads(SCHEMAS_FILE.read_text("utf-8"))
    sections = msgspec.convert(document, dict[Layer, _Section])
    for layer, section in sections.items():
        _check_keys(layer, section.keys)
    return {layer: sections[layer] for layer in Layer}


@functools.cache
def _list_texts() -> Mapping[tuple[Layer, str], str]:
    return {
        (layer, key): entry.list_text
        for layer, section in _sections().items()
        for key, entry in section.keys.items()
        if isinstance(entry, _ListEntry)
    }


def _check_keys(layer: Layer, keys: Iterable[str]) -> None:
    known = set(keys)
    for key in known:
        if not _KEY.fullmatch(key):
            raise ValueError(f"{SCHEMAS_FILE.name}: {layer}.{key}: not a key")
        parts = key.split(".")
        for depth in range(1, len(parts)):
            branch = ".".join(parts[:depth])
            if branch in known:
                raise ValueError(f"{SCHEMAS_FILE.name}: {layer}.{branch}: a leaf, but {key} needs a branch")
