"""What the developers of agents configure of memory, as they gave it and as it is stored.

Settings are given at three levels: for a namespace, for an agent in it, and for one request. Each level says as much as
it wants; what it leaves out (None), the next one says. What comes of that is in `memsvc.settings`. The settings of a
server, of which there are others, are in `memsvc.config`.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from memsvc.model import Layer, LearningMode


class GivenLayer(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """What one level says of a layer."""

    learned: bool | None = None
    shown: bool | None = None
    schema_json: str | None = None
    """A JSON Schema; empty: none, whatever the levels below say."""
    prompt: str | None = None
    capture_instructions: str | None = None
    stated_only: bool | None = None


class GivenOperations(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """What one level says of the operations that models may propose."""

    add: bool | None = None
    update: bool | None = None
    delete: bool | None = None
    clear: bool | None = None


class GivenRetention(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """What one level says of how long things are kept; 0: for ever."""

    run_seconds: float | None = None
    history_seconds: float | None = None
    extraction_seconds: float | None = None
    consolidation_seconds: float | None = None


class GivenSettings(msgspec.Struct, frozen=True, gc=False, omit_defaults=True, kw_only=True):
    """What one level says."""

    enabled: bool | None = None
    mode: LearningMode | None = None
    layers: Mapping[Layer, GivenLayer] = {}
    """Of the layers that it says something of."""
    capture_instructions: str | None = None
    operations: GivenOperations = GivenOperations()
    retention: GivenRetention = GivenRetention()

    @property
    def empty(self) -> bool:
        """Whether it says nothing."""
        return self == NOTHING


NOTHING = GivenSettings()


def written(given: GivenSettings) -> str:
    """Return settings as JSON, for where they are kept as text; empty: they say nothing."""
    return "" if given.empty else _encoder.encode(given).decode()


def read(text: str) -> GivenSettings:
    """Return what `written` wrote."""
    return _decoder.decode(text) if text else NOTHING


_encoder = msgspec.json.Encoder(order="deterministic")
_decoder = msgspec.json.Decoder(GivenSettings)


class Configured(msgspec.Struct, frozen=True, gc=False, omit_defaults=True, kw_only=True):
    """The configuration of a namespace, or of an agent in it."""

    agent_id: str = ""
    """Empty: of the namespace."""
    given: GivenSettings = NOTHING
    revision: int = 0
    """The revision of the namespace that last changed it; 0: nothing was ever configured."""
    etag: str = ""
    time: int = 0
    """When that was."""
