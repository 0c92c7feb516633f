"""Whether a memory fits its layer's schema: what a write brings to a key, seen by itself."""

from __future__ import annotations

import json

from msgspec.structs import replace

from memsvc.errors import Reason, invalid
from memsvc.json_text import json_text
from memsvc.model import Memory
from memsvc.settings.resolved import MemorySettings
from memsvc.settings.schema import Misfit, Schema


def validated(memory: Memory, settings: MemorySettings, path: str = "memory") -> Memory:
    """Return a memory with the configuration that it fits. Raises InvalidArgument (SCHEMA_VIOLATION) if it does not."""
    schema = settings.layers[memory.layer].schema
    wrong = misfit(memory, schema) if schema is not None else None
    if wrong is not None:
        field = "key" if wrong.is_unknown_key else "value_json" if memory.value_json else "text"
        raise invalid(f"{path}.{field}", said(memory, wrong), Reason.SCHEMA_VIOLATION)
    if memory.config_revision == settings.config_revision:
        return memory
    return replace(memory, config_revision=settings.config_revision)


def said(memory: Memory, wrong: Misfit) -> str:
    """Return what is wrong, with the place in the user's memory: `profile.years must be an integer`."""
    return f"{memory.layer}.{wrong.path} {wrong.description}"


def misfit(memory: Memory, schema: Schema) -> Misfit | None:
    """Return why a memory does not fit; None: it does, or has no key."""
    return schema.misfit(memory.key, value_of(memory)) if memory.key else None


def fitted(memory: Memory, schema: Schema) -> Memory:
    """Return a memory that was learned with the value that was meant, where it fits; see `Schema.fitted`."""
    if not memory.key:
        return memory
    value = value_of(memory)
    meant = schema.fitted(memory.key, value)
    return memory if meant is value else replace(memory, value_json=json_text(meant))


def value_of(memory: Memory) -> object:
    """Return what is at the memory's key: its value or, where it has none, its text."""
    return json.loads(memory.value_json) if memory.value_json else memory.text
