"""The settings in force: what the levels say, put together field by field.

The most specific level that says something of a field is heard: a request before its agent, the agent before the
namespace, the namespace before the server. For example, with a namespace that switches the profile off and gives
knowledge a prompt, and an agent that switches the profile on, that agent has both the profile and the prompt.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, TypeVar

from msgspec import Struct, field, structs

from memsvc.configuration import GivenLayer, GivenOperations, GivenRetention, GivenSettings, written
from memsvc.model import Layer, LearningMode
from memsvc.settings.schema import Schema, compile_schema


class LayerSettings(Struct, frozen=True):
    """What is in force for a layer."""

    learned: bool = True
    """Something is learned into it, by conversations or tools. What is there stays; direct writes are not bound."""
    shown: bool = True
    """It is part of contexts, and of what tools read."""
    schema: Schema | None = None
    """What its keys and values have to be, in any write; None: anything."""
    prompt: str = ""
    """Says to a model what to learn into it, instead of the layer's own description; empty: that stands."""
    capture_instructions: str = ""
    """What a model is told besides."""
    stated_only: bool = False
    """Only what the user stated is learned into it: nothing of any other trust class."""

    @property
    def in_tools(self) -> bool:
        """Whether tools may read and write it: a layer that is switched off is absent from them."""
        return self.learned and self.shown


class Operations(Struct, frozen=True):
    """What models may do, in learning and by tools. Direct calls (CreateMemory, ClearMemories …) are not bound.

    They are judged by what they do, not by what they are called: who writes to a key that is taken updates.
    """

    add: bool = True
    update: bool = True
    delete: bool = True
    clear: bool = False
    """Forget everything at once."""


class Retention(Struct, frozen=True):
    """How long things are kept; 0: for ever."""

    run_seconds: float = 0.0
    history_seconds: float = 0.0
    """Records of users' journals: what ListMemoryChanges, RestoreMemories and reads of the past go back to."""
    extraction_seconds: float = 0.0
    """Extractions that have ended."""
    consolidation_seconds: float = 0.0
    """So long after a change, a user's memories are consolidated; 0: only when asked for."""

    @property
    def shortest_seconds(self) -> float:
        """The shortest of them; 0: everything is kept for ever."""
        return min(filter(None, (self.run_seconds, self.history_seconds, self.extraction_seconds)), default=0.0)


_LAYER: Final = LayerSettings()


class MemorySettings(Struct, frozen=True, kw_only=True):
    """What is in force for a request: of its namespace, agent and itself."""

    enabled: bool = True
    """False: nothing is learned, contexts are empty, there are no tools. What is stored stays as it is."""
    mode: LearningMode = LearningMode.AUTOMATIC
    layers: Mapping[Layer, LayerSettings] = field(default_factory=lambda: dict.fromkeys(Layer, _LAYER))
    """Of every layer."""
    capture_instructions: str = ""
    """What a model that learns is told besides, for all layers."""
    operations: Operations = Operations()
    retention: Retention = Retention()
    """The namespace's: agents and requests have none of their own."""
    config_revision: int = 0
    """The namespace's revision that they are of, for `Memory.config_revision`; 0: nothing was ever configured."""
    learning_digest: str = ""
    """Of what the levels above the server say of how is learned: the same digest, the same learning. Empty: nothing."""
    shows_all: bool = True
    """Whether contexts show all layers. Found by itself."""

    def __post_init__(self) -> None:
        # Every context asks for it.
        structs.force_setattr(self, "shows_all", len(self.shown_layers) == len(Layer))

    @property
    def learns_from_runs(self) -> bool:
        """Whether runs are learned from without being asked to."""
        return self.enabled and self.mode in (LearningMode.AUTOMATIC, LearningMode.BOTH) and bool(self.learned_layers)

    @property
    def offers_tools(self) -> bool:
        """Whether the agent's model may change memory by tools."""
        return self.enabled and self.mode in (LearningMode.AGENTIC, LearningMode.BOTH)

    @property
    def learned_layers(self) -> tuple[Layer, ...]:
        """The layers that are learned into."""
        return tuple(layer for layer, each in self.layers.items() if each.learned) if self.enabled else ()

    @property
    def shown_layers(self) -> tuple[Layer, ...]:
        """The layers that contexts show."""
        return tuple(layer for layer, each in self.layers.items() if each.shown) if self.enabled else ()


DEFAULT_SETTINGS: Final = MemorySettings()
"""What is in force where nothing is configured, on a server that is not either."""


def resolved(given: GivenSettings, server: MemorySettings = DEFAULT_SETTINGS, *, revision: int = 0) -> MemorySettings:
    """Return what is in force where the levels together say `given`; see `overlaid`.

    Raises InvalidArgument for a schema that is none: it is checked when it is given.
    """
    if given.empty:
        return structs.replace(server, config_revision=revision)
    layers = {layer: _layer(server.layers[layer], given.layers.get(layer)) for layer in Layer}
    return MemorySettings(
        enabled=server.enabled if given.enabled is None else given.enabled,
        mode=server.mode if given.mode is None else given.mode,
        layers=layers,
        capture_instructions=(
            server.capture_instructions if given.capture_instructions is None else given.capture_instructions
        ),
        operations=_with(server.operations, given.operations),
        retention=_with(server.retention, given.retention),
        config_revision=revision,
        learning_digest=learning_digest(given),
    )


def overlaid(*levels: GivenSettings) -> GivenSettings:
    """Return what levels say together, the most specific first."""
    said = [level for level in levels if not level.empty]
    if len(said) < 2:
        return said[0] if said else GivenSettings()
    layers: dict[Layer, GivenLayer] = {}
    for layer in Layer:
        given = [level.layers[layer] for level in said if layer in level.layers]
        if given:
            layers[layer] = _first(given)
    return GivenSettings(
        enabled=_said(level.enabled for level in said),
        mode=_said(level.mode for level in said),
        layers=layers,
        capture_instructions=_said(level.capture_instructions for level in said),
        operations=_first([level.operations for level in said]),
        retention=_first([level.retention for level in said]),
    )


def of_learning(given: GivenSettings) -> GivenSettings:
    """Return what of settings matters for how is learned, once it is decided that something is."""
    layers = {layer: structs.replace(each, shown=None) for layer, each in given.layers.items()}
    return GivenSettings(
        mode=given.mode if given.mode is LearningMode.BOTH else None,
        layers={layer: each for layer, each in layers.items() if each != GivenLayer()},
        capture_instructions=given.capture_instructions,
        operations=given.operations,
    )


def learning_digest(given: GivenSettings) -> str:
    """Return 16 hexadecimal digits that settings share under which the same is learned; empty: they say nothing."""
    text = written(of_learning(given))
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest() if text else ""


_S = TypeVar("_S", Operations, Retention)
_G = TypeVar("_G", GivenLayer, GivenOperations, GivenRetention)
_V = TypeVar("_V")


def _layer(server: LayerSettings, given: GivenLayer | None) -> LayerSettings:
    if given is None:
        return server
    said = structs.asdict(given)
    schema_json = said.pop("schema_json")
    layer = structs.replace(server, **{name: value for name, value in said.items() if value is not None})
    if schema_json is None:
        return layer
    return structs.replace(layer, schema=compile_schema(schema_json) if schema_json else None)


def _with(server: _S, given: GivenOperations | GivenRetention) -> _S:
    said = {name: value for name, value in structs.asdict(given).items() if value is not None}
    return structs.replace(server, **said) if said else server


def _first(given: Sequence[_G]) -> _G:
    """Return what the first to say something of each field says of it."""
    whole = given[0]
    for level in given[1:]:
        missing = {name: value for name, value in structs.asdict(level).items() if getattr(whole, name) is None}
        whole = structs.replace(whole, **missing)
    return whole


def _said(values: Iterable[_V | None]) -> _V | None:
    return next((value for value in values if value is not None), None)
