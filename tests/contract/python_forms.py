"""What the Python client takes and gives, as the contract writes it: protojson."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from google.protobuf.json_format import MessageToDict, ParseDict

import memsvc_client as api
from memsvc.v1 import (
    admin_pb2,
    common_pb2,
    config_pb2,
    context_pb2,
    extraction_pb2,
    memory_pb2,
    message_pb2,
    session_pb2,
    tool_pb2,
)
from memsvc_client.message import message_of, messages_to_wire
from memsvc_client.settings import LAYERS, settings_of
from memsvc_client.shown import Shown

_FILES = (admin_pb2, common_pb2, context_pb2, extraction_pb2, memory_pb2, session_pb2, tool_pb2)
_ENUMS = {name: kind for file in _FILES for name, kind in file.DESCRIPTOR.enum_types_by_name.items()}
_WORDS = {
    value: value.removeprefix(f"{re.sub(r'(?<!^)(?=[A-Z])', '_', name).upper()}_").lower()
    for name, kind in _ENUMS.items()
    for value in kind.values_by_name
}
_TIMES = ("observe_time", "expire_time", "valid_from", "valid_to", "valid_at", "as_of_time")
_OPERATIONS = {"allow_add": "add", "allow_update": "update", "allow_delete": "delete", "allow_clear": "clear"}
_KEPT = {"keep_runs": "runs", "keep_history": "history", "keep_extractions": "endedExtractions"}


def given(value: Any) -> Any:
    """Return an argument as Python's client takes it: words for enum values."""
    match value:
        case str() if value in _WORDS:
            return _WORDS[value] if not value.endswith("_UNSPECIFIED") else None
        case list():
            return [given(each) for each in value]
        case _:
            return value


def arguments(args: Mapping[str, Any]) -> dict[str, Any]:
    """Return arguments under Python's names: `ttlSeconds` is `ttl`, `valueJson` a `value`."""
    named: dict[str, Any] = {}
    for key, value in args.items():
        name = snake(key)
        if name.endswith("_seconds"):
            name = name.removesuffix("_seconds")
        match name:
            case "value_json":
                named["value"] = json.loads(value)
            case "filter":
                named[name] = memory_filter(value)
            case "consistency":
                named[name] = consistency(value)
            case "settings":
                named[name] = settings(value)
            case "messages":
                named[name] = messages(value)
            case _ if name in _TIMES:
                named[name] = time(value)
            case _:
                named[name] = given(value)
    return named


def memory_filter(value: Mapping[str, Any]) -> Any:
    named = {snake(name): given(each) for name, each in value.items()}
    for name in ("create_time", "update_time", "observe_time"):
        if name in named:
            named[name] = tuple(time(named[name].get(key)) for key in ("startTime", "endTime"))
    if "valid_at" in named:
        named["valid_at"] = time(named["valid_at"])
    if "config_before" in named:
        named["config_before"] = int(named["config_before"])
    return named


def consistency(value: Mapping[str, Any]) -> api.Consistency:
    ((name, each),) = value.items()
    if name == "maxStaleness":
        return api.Consistency(max_staleness=float(each.removesuffix("s")))
    if name == "asOfTime":
        return api.Consistency(as_of_time=time(each))
    revision: Any = {snake(name): int(each)}
    return api.Consistency(**revision)


def settings(value: Mapping[str, Any], mask: str | None = None) -> Any:
    """Return settings by Python's names; `mask` names those that are meant, of which some may be cleared."""
    said = settings_of(ParseDict(value, config_pb2.MemorySettings()))
    flat: dict[str, Any] = {name: getattr(said, name) for name in ("enabled", "mode", "capture_instructions")}
    flat |= {name: getattr(said, name) for name in (*_OPERATIONS, *_KEPT)}
    for part in LAYERS:
        layer = getattr(said, part)
        flat |= {f"{part}_{each.name}": getattr(layer, each.name) for each in fields(layer)}
    if mask is None:
        return {name: each for name, each in flat.items() if each is not None}
    return {name: flat[name] for name in map(_setting, mask.split(","))}


def _setting(path: str) -> str:
    """Return Python's name of a setting: `policy.prompt` is `policies_prompt`."""
    first, _, rest = path.partition(".")
    names = {f"operations.{each}": name for name, each in _OPERATIONS.items()}
    names |= {f"retention.{each}": name for name, each in _KEPT.items()}
    part = next((name for name, layer in LAYERS.items() if layer.value == first), None)
    if part is not None:
        return f"{part}_{snake(rest).removesuffix('_json')}"
    return names.get(path, snake(path))


def messages(value: Iterable[Any]) -> list[api.Message]:
    return [message_of(ParseDict(each, message_pb2.Message())) for each in value]


def operations(value: Iterable[Mapping[str, Any]]) -> list[api.Operation]:
    return [api.Operation(ParseDict(each, memory_pb2.BatchWriteOperation())) for each in value]


def time(value: str | None) -> datetime | None:
    return None if value is None else datetime.fromisoformat(value)


def snake(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(each.capitalize() for each in rest)


def shown(value: Any) -> Any:
    """Return what the client answered in protojson."""
    match value:
        case api.SearchHit():
            rest = {"score": value.score, "sharedUserId": value.shared_user_id}
            return {"memory": _memory(value), **rest}
        case api.Memory():
            return _memory(value)
        case api.SearchHits():
            names = ("method", "method_reason", "pending_vector_count", "revision", "read_time", "usage")
            return {"hits": [shown(each) for each in value], **_attributes(value, names)}
        case api.History():
            return {"messages": history(value), **_attributes(value, ("run_count", "has_more", "summary"))}
        case api.Restored():
            commit = {name: each for name, each in _fields(value).items() if name != "purgedMemoryIds"}
            return {"commit": commit, "purgedMemoryIds": list(value.purged_memory_ids)}
        case api.UserMemory():
            rest = _attributes(value, ("memory_count", "revision", "read_time"))
            return {"documentJson": json.dumps(value.to_dict()), **rest}
        case api.Context():
            return {**_fields(value), "history": history(value.history), "failure": failed(value.failure)}
        case api.MemoryConfig():
            config = _fields(value)
            return {"inForce": config.pop("inForce"), "config": config}
        case api.MemorySettings():
            return _settings(value)
        case api.Message():
            return MessageToDict(messages_to_wire([value])[0])
        case api.UserStats():
            layers = [{"layer": shown(layer), "count": count} for layer, count in value.layers.items()]
            return {**_fields(value), "layers": layers}
        case _ if type(value) in _EVENTS:
            return _event(value)
        case Shown() if is_dataclass(value):
            return _fields(value)
        case StrEnum():
            prefix = re.sub(r"(?<!^)(?=[A-Z])", "_", type(value).__name__).upper()
            return f"{prefix}_{'UNSPECIFIED' if value.name == 'NONE' else value.name}"
        case datetime():
            return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
        case timedelta():
            return f"{value.total_seconds():g}s"
        case Mapping():
            return {key: shown(each) for key, each in value.items()}
        case list() | tuple():
            return [shown(each) for each in value]
        case _:
            return value


def history(given_messages: Iterable[Mapping[str, Any]]) -> list[Any]:
    listed = list(given_messages)
    return [MessageToDict(each) for each in messages_to_wire(listed)] if listed else []


def failed(failure: api.MemoryServiceError | None) -> Any:
    """Return an error as the contract writes it."""
    if failure is None:
        return None
    learning = isinstance(failure, api.ExtractionFailed)
    return {
        "code": "EXTRACTION_FAILED" if learning else failure.code.name,
        "reason": failure.reason,
        "fields": [each.field for each in failure.fields],
        "message": failure.message,
        "metadata": dict(failure.metadata),
        "retryAfterSeconds": failure.retry_after,
    }


def _memory(memory: api.Memory) -> dict[str, Any]:
    left_out = ("memory", "value", "user_id", "namespace", "score", "shared_user_id")
    shown_fields = {
        camel(each.name): shown(getattr(memory, each.name)) for each in fields(memory) if each.name not in left_out
    }
    value = {"valueJson": json.dumps(memory.value)} if memory.key else {}
    scope = {"userId": memory.user_id, "namespace": memory.namespace}
    return {**shown_fields, "text": memory.memory, "scope": scope, **value}


def _fields(value: Any) -> dict[str, Any]:
    return {camel(each.name): shown(getattr(value, each.name)) for each in fields(value)}


def _attributes(value: Any, names: Iterable[str]) -> dict[str, Any]:
    return {camel(name): shown(getattr(value, name)) for name in names}


def _settings(value: api.MemorySettings) -> dict[str, Any]:
    said: dict[str, Any] = _attributes(value, ("enabled", "mode", "capture_instructions"))
    said |= {"operations": {}, "retention": {}}
    for name, operation in _OPERATIONS.items():
        said["operations"][operation] = getattr(value, name)
    for name, kept in _KEPT.items():
        said["retention"][kept] = shown(getattr(value, name))
    for part, layer in LAYERS.items():
        named = _fields(getattr(value, part))
        schema = named.pop("schema")
        said[layer.value] = {**named, **({} if schema is None else {"schemaJson": json.dumps(schema)})}
    return said


_EVENTS: Mapping[type, str] = {
    api.Present: "initial",
    api.PresentDone: "initialDone",
    api.Changed: "commit",
    api.Bookmark: "bookmark",
    api.Erased: "erased",
    api.Accepted: "accepted",
    api.Progress: "progress",
    api.Proposed: "proposed",
    api.Committed: "committed",
    api.Failed: "failed",
    api.Refused: "refused",
    api.Retried: "retried",
    api.Completed: "completed",
}


def _event(event: Any) -> dict[str, Any]:
    said = _fields(event)
    around = {name: said.pop(name) for name in ("number", "resumeToken") if name in said}
    match event:
        case api.Present(memory=memory):
            said = shown(memory)
        case api.Changed(commit=commit):
            said = shown(commit)
    return {_EVENTS[type(event)]: said, **around}
