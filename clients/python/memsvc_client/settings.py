"""Settings of memory: as people name them, and as messages hold them.

They are given as keyword arguments, or as a dict of the same names where a call brings its own. The four layers have
the same ones: `profile_...`, `policies_...`, `knowledge_...`, `feedback_...`. What is None is cleared, what is not
named stays.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypedDict

from memsvc.v1 import config_pb2
from memsvc_client.enums import Layer, LearningMode
from memsvc_client.schemas import SchemaLike, schema_json
from memsvc_client.shown import Shown
from memsvc_client.wire import boolean, duration, enum_member, enum_number, string

LAYERS = {
    "profile": Layer.PROFILE,
    "policies": Layer.POLICY,
    "knowledge": Layer.KNOWLEDGE,
    "feedback": Layer.FEEDBACK,
}
"""How the names of settings begin that are of a layer."""


class Settings(TypedDict, total=False):
    """What may be set of memory, at any level."""

    enabled: bool | None
    """False: nothing is learned, contexts are empty, there are no tools; what is stored stays."""
    mode: LearningMode | str | None
    """How memory changes: automatic, agentic (by the agent's model), both, off."""
    update_memory_on_run: bool | None
    """Learn from every run: with enable_agentic_memory another way to say the mode. Where only one of the two is given,
    the other is as by default: runs are learned from, tools change nothing."""
    enable_agentic_memory: bool | None
    """Let the agent's model change memory by tools."""
    capture_instructions: str | None
    """What a model that learns is told besides, for all layers."""
    allow_add: bool | None
    """Whether models may add memories; calls of `memories` are not bound."""
    allow_update: bool | None
    allow_delete: bool | None
    allow_clear: bool | None
    profile_schema: SchemaLike | None
    """What keys and values of the layer have to be."""
    profile_prompt: str | None
    """What to learn into the layer, instead of its own description."""
    profile_capture_instructions: str | None
    """What a model is told besides."""
    profile_learned: bool | None
    """Whether anything is learned into the layer."""
    profile_shown: bool | None
    """Whether contexts and tools show it."""
    profile_stated_only: bool | None
    """Only what the user stated is learned into it."""
    policies_schema: SchemaLike | None
    policies_prompt: str | None
    policies_capture_instructions: str | None
    policies_learned: bool | None
    policies_shown: bool | None
    policies_stated_only: bool | None
    knowledge_schema: SchemaLike | None
    knowledge_prompt: str | None
    knowledge_capture_instructions: str | None
    knowledge_learned: bool | None
    knowledge_shown: bool | None
    knowledge_stated_only: bool | None
    feedback_schema: SchemaLike | None
    feedback_prompt: str | None
    feedback_capture_instructions: str | None
    feedback_learned: bool | None
    feedback_shown: bool | None
    feedback_stated_only: bool | None


class ConfigFields(Settings, total=False):
    """What may be set of a namespace, or of an agent in it."""

    keep_runs: float | timedelta | None
    """How long runs are kept, in seconds or as a timedelta; 0: for ever. Of a namespace only, as the next two."""
    keep_history: float | timedelta | None
    """How long is kept what changed: what undo and reads of the past go back to."""
    keep_extractions: float | timedelta | None
    """How long extractions are kept that have ended."""


@dataclass(frozen=True, slots=True, repr=False)
class LayerSettings(Shown):
    """What is said of a layer; None: nothing."""

    learned: bool | None = None
    shown: bool | None = None
    schema: Mapping[str, Any] | None = None
    """A JSON Schema; empty: none, whatever the levels below say."""
    prompt: str | None = None
    capture_instructions: str | None = None
    stated_only: bool | None = None


@dataclass(frozen=True, slots=True, repr=False)
class MemorySettings(Shown):
    """What is said of memory; None: nothing."""

    enabled: bool | None
    mode: LearningMode | None
    profile: LayerSettings
    policies: LayerSettings
    knowledge: LayerSettings
    feedback: LayerSettings
    capture_instructions: str | None
    allow_add: bool | None
    allow_update: bool | None
    allow_delete: bool | None
    allow_clear: bool | None
    keep_runs: timedelta | None
    keep_history: timedelta | None
    keep_extractions: timedelta | None


_OPERATIONS = {f"allow_{name}": name for name in ("add", "update", "delete", "clear")}
_RETENTION = {"keep_runs": "runs", "keep_history": "history", "keep_extractions": "ended_extractions"}
_SWITCHES = ("learned", "shown", "stated_only")
_TEXTS = ("prompt", "capture_instructions")
_AS_MODE = ("update_memory_on_run", "enable_agentic_memory")
_MODES = {
    (True, False): LearningMode.AUTOMATIC,
    (False, True): LearningMode.AGENTIC,
    (True, True): LearningMode.BOTH,
    (False, False): LearningMode.OFF,
}


def settings_to_wire(settings: Mapping[str, Any] | None, name: str = "settings") -> config_pb2.MemorySettings | None:
    """Return the settings that a call brings. Raises TypeError or ValueError that names what is wrong."""
    if settings is None:
        return None
    if not isinstance(settings, Mapping):
        raise TypeError(f'{name} must be a dict, as {{"profile_shown": False}}, not {settings!r:.80}')
    if kept := next((each for each in settings if each in _RETENTION), None):
        raise ValueError(f"{name}: {kept} is of a namespace only")
    return written(settings)[0]


def written(fields: Mapping[str, Any]) -> tuple[config_pb2.MemorySettings, list[str]]:
    """Return the message for settings, and the paths of all that are named."""
    message = config_pb2.MemorySettings()
    paths: list[str] = []
    for name, value in fields.items():
        if name not in _AS_MODE:
            paths.append(_write(message, name, value))
    if any(name in fields for name in _AS_MODE):
        if "mode" in fields:
            raise ValueError(f"mode says it all: without {' and '.join(each for each in _AS_MODE if each in fields)}")
        message.mode = enum_number("mode", LearningMode, _mode(fields))
        paths.append("mode")
    return message, paths


def _mode(fields: Mapping[str, Any]) -> LearningMode | None:
    given = [fields.get(name) for name in _AS_MODE]
    for name, value in zip(_AS_MODE, given, strict=True):
        if value is not None:
            boolean(name, value)
    if given == [None, None]:
        return None
    runs, agentic = given
    return _MODES[runs is not False, agentic is True]


def _write(message: config_pb2.MemorySettings, name: str, value: Any) -> str:
    """Put one setting into a message, unless it is None; return its path."""
    if name == "enabled":
        if value is not None:
            boolean(name, value)
            message.enabled = value
        return name
    if name == "mode":
        message.mode = enum_number(name, LearningMode, value)
        return name
    if name == "capture_instructions":
        if value is not None:
            message.capture_instructions = string(name, value)
        return name
    if name in _OPERATIONS:
        if value is not None:
            boolean(name, value)
            setattr(message.operations, _OPERATIONS[name], value)
        return f"operations.{_OPERATIONS[name]}"
    if name in _RETENTION:
        kept = duration(value, name)
        if kept is not None:
            getattr(message.retention, _RETENTION[name]).CopyFrom(kept)
        return f"retention.{_RETENTION[name]}"
    return _write_of_layer(message, name, value)


def _write_of_layer(message: config_pb2.MemorySettings, name: str, value: Any) -> str:
    part, _, field = name.partition("_")
    if part not in LAYERS or field not in ("schema", *_SWITCHES, *_TEXTS):
        raise TypeError(f"{name} is no setting: {', '.join(sorted(ConfigFields.__annotations__))}")
    layer = getattr(message, LAYERS[part].value)
    if field == "schema":
        if value is not None:
            layer.schema_json = schema_json(name, value)
        return f"{LAYERS[part].value}.schema_json"
    if value is not None:
        (boolean if field in _SWITCHES else string)(name, value)
        setattr(layer, field, value)
    return f"{LAYERS[part].value}.{field}"


def settings_of(message: config_pb2.MemorySettings) -> MemorySettings:
    """Return what a message says."""
    layers: dict[str, Any] = {name: _layer_of(getattr(message, layer.value)) for name, layer in LAYERS.items()}
    operations: dict[str, Any] = {name: _given(message.operations, field) for name, field in _OPERATIONS.items()}
    kept: dict[str, Any] = {
        name: getattr(message.retention, field).ToTimedelta() if message.retention.HasField(field) else None  # type: ignore[arg-type]
        for name, field in _RETENTION.items()
    }
    return MemorySettings(
        enabled=_given(message, "enabled"),
        mode=enum_member(LearningMode, message.mode) if message.mode else None,
        capture_instructions=_given(message, "capture_instructions"),
        **layers,
        **operations,
        **kept,
    )


def _layer_of(message: config_pb2.LayerSettings) -> LayerSettings:
    text = _given(message, "schema_json")
    schema = None if text is None else json.loads(text) if text else {}
    return LayerSettings(schema=schema, **{name: _given(message, name) for name in (*_SWITCHES, *_TEXTS)})


def _given(message: Any, name: str) -> Any:
    return getattr(message, name) if message.HasField(name) else None
