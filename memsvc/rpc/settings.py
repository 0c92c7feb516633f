"""Settings of memory, from and to their messages: of configurations, and of requests that bring their own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from google.protobuf.duration_pb2 import Duration
from msgspec.structs import asdict, replace

from memsvc.configuration import (
    NOTHING,
    Configured,
    GivenLayer,
    GivenOperations,
    GivenRetention,
    GivenSettings,
)
from memsvc.errors import invalid
from memsvc.limits import check_text
from memsvc.model import Layer, LearningMode
from memsvc.rpc.fields import inverted, read_duration, read_enum, timestamp
from memsvc.settings import MemorySettings, compile_schema
from memsvc.v1 import common_pb2, config_pb2

LEARNING_MODES: Final[Mapping[int, LearningMode]] = {
    common_pb2.LEARNING_MODE_AUTOMATIC: LearningMode.AUTOMATIC,
    common_pb2.LEARNING_MODE_AGENTIC: LearningMode.AGENTIC,
    common_pb2.LEARNING_MODE_BOTH: LearningMode.BOTH,
    common_pb2.LEARNING_MODE_OFF: LearningMode.OFF,
}
RETENTION_FIELDS: Final = {
    "runs": "run_seconds",
    "history": "history_seconds",
    "ended_extractions": "extraction_seconds",
    "consolidation_interval": "consolidation_seconds",
}
"""How the message names what `GivenRetention` does."""

REQUEST_BYTES: Final = 8 << 10
"""What a request may bring: it is stored with what it is accepted for."""

_MODE_NUMBERS: Final = inverted(LEARNING_MODES)
_MAX_RETENTION_SECONDS: Final = 100 * 366 * 86_400
_OPERATIONS: Final = GivenOperations.__struct_fields__
_SWITCHES: Final = ("learned", "shown", "stated_only")
_TEXTS: Final = ("prompt", "capture_instructions")


def read_request_settings(request: Any) -> GivenSettings:
    """Return the settings that a request brings in its field `settings`; they overrule what is configured."""
    if not request.HasField("settings"):
        return NOTHING
    message = request.settings
    if message.ByteSize() > REQUEST_BYTES:
        raise invalid("settings", f"must be at most {REQUEST_BYTES} bytes: what is larger can be configured")
    if message.HasField("retention"):
        raise invalid("settings.retention", "is of a namespace only")
    return read_settings(message)


def read_run_settings(request: Any) -> GivenSettings:
    """Return the settings that a run brings, its `learning_mode` among them."""
    given = read_request_settings(request)
    mode = read_enum("learning_mode", request.learning_mode, LEARNING_MODES) if request.learning_mode else None
    if mode is not None and given.mode not in (None, mode):
        raise invalid("learning_mode", "must be the same as settings.mode")
    return replace(given, mode=mode) if mode is not None else given


def read_settings(message: config_pb2.MemorySettings, path: str = "settings") -> GivenSettings:
    """Return what a message says."""
    layers = {layer: _read_layer(getattr(message, layer), f"{path}.{layer}") for layer in Layer}
    operations, retention = message.operations, message.retention
    return GivenSettings(
        enabled=_given(message, "enabled"),
        mode=read_enum(f"{path}.mode", message.mode, LEARNING_MODES) if message.mode else None,
        layers={layer: each for layer, each in layers.items() if each != GivenLayer()},
        capture_instructions=_text(message, "capture_instructions", path),
        operations=GivenOperations(**{name: _given(operations, name) for name in _OPERATIONS}),
        retention=GivenRetention(
            **{
                name: read_duration(f"{path}.retention.{field}", getattr(retention, field), _MAX_RETENTION_SECONDS)
                for field, name in RETENTION_FIELDS.items()
                if retention.HasField(field)  # type: ignore[arg-type]
            }
        ),
    )


def _read_layer(message: config_pb2.LayerSettings, path: str) -> GivenLayer:
    schema_json = _given(message, "schema_json")
    if schema_json:
        compile_schema(schema_json, f"{path}.schema_json")
    said: dict[str, Any] = {name: _given(message, name) for name in _SWITCHES}
    said |= {name: _text(message, name, path) for name in _TEXTS}
    return GivenLayer(schema_json=schema_json, **said)


def _text(message: Any, name: str, path: str) -> str | None:
    text = _given(message, name)
    if text is not None:
        check_text(f"{path}.{name}", text)
    return text  # type: ignore[no-any-return]


def _given(message: Any, name: str) -> Any:
    return getattr(message, name) if message.HasField(name) else None


def proto_config(namespace: str, configured: Configured) -> config_pb2.MemoryConfig:
    """Return the message for a configuration."""
    return config_pb2.MemoryConfig(
        namespace=namespace,
        agent_id=configured.agent_id,
        settings=proto_settings(configured.given),
        etag=configured.etag,
        config_revision=configured.revision,
        update_time=timestamp(configured.time),
    )


def proto_settings(given: GivenSettings) -> config_pb2.MemorySettings:
    """Return the message for what one level says."""
    message = config_pb2.MemorySettings(
        enabled=given.enabled,
        mode=_MODE_NUMBERS[given.mode] if given.mode is not None else common_pb2.LEARNING_MODE_UNSPECIFIED,
        capture_instructions=given.capture_instructions,
    )
    for layer, each in given.layers.items():
        getattr(message, layer).CopyFrom(config_pb2.LayerSettings(**asdict(each)))
    if given.operations != GivenOperations():
        message.operations.CopyFrom(config_pb2.OperationSettings(**asdict(given.operations)))
    if given.retention != GivenRetention():
        message.retention.CopyFrom(_retention(given.retention))
    return message


def proto_in_force(settings: MemorySettings) -> config_pb2.MemorySettings:
    """Return the message for what is in force: every field is set."""
    message = config_pb2.MemorySettings(
        enabled=settings.enabled,
        mode=_MODE_NUMBERS[settings.mode],
        capture_instructions=settings.capture_instructions,
        operations=config_pb2.OperationSettings(**asdict(settings.operations)),
        retention=_retention(settings.retention),
    )
    for layer, each in settings.layers.items():
        said = {name: getattr(each, name) for name in (*_SWITCHES, *_TEXTS)}
        schema_json = each.schema.text if each.schema is not None else ""
        getattr(message, layer).CopyFrom(config_pb2.LayerSettings(schema_json=schema_json, **said))
    return message


def _retention(retention: Any) -> config_pb2.RetentionSettings:
    kept = {field: getattr(retention, name) for field, name in RETENTION_FIELDS.items()}
    return config_pb2.RetentionSettings(
        **{field: _duration(seconds) for field, seconds in kept.items() if seconds is not None}
    )


def _duration(seconds: float) -> Duration:
    whole = int(seconds)
    return Duration(seconds=whole, nanos=round((seconds - whole) * 1e6) * 1_000)
