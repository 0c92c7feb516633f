"""What tools may do, from the configuration."""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from memsvc.errors import FailedPrecondition, Reason, invalid
from memsvc.model import Layer, Memory
from memsvc.settings import DEFAULT_SETTINGS, MemorySettings
from memsvc.settings.fitting import fitted, misfit, said

ALL_LAYERS = frozenset(Layer)


class Permissions(Struct, frozen=True, kw_only=True):
    """What the configuration lets an agent's model do. Every `require…` raises OPERATION_FORBIDDEN."""

    reads: bool = True
    """Memory is switched on."""
    writes: bool = True
    """The mode lets agents manage memory by themselves."""
    readable: frozenset[Layer] = ALL_LAYERS
    writable: frozenset[Layer] = ALL_LAYERS
    adds: bool = True
    updates: bool = True
    deletes: bool = True
    clears: bool = False
    settings: MemorySettings = DEFAULT_SETTINGS
    """What they follow from: with the schemas of the layers."""

    def fitting(self, memory: Memory) -> Memory:
        """Return a memory as its layer takes it. Raises InvalidArgument (SCHEMA_VIOLATION) where it does not."""
        schema = self.settings.layers[memory.layer].schema
        if schema is not None:
            memory = fitted(memory, schema)
            if (wrong := misfit(memory, schema)) is not None:
                field = "key" if wrong.is_unknown_key else "value"
                raise invalid(field, said(memory, wrong), Reason.SCHEMA_VIOLATION)
        return replace(memory, config_revision=self.settings.config_revision)

    def has_form(self, layer: Layer) -> bool:
        """Tell whether the canonical keys of a layer have the values that are theirs, and no schema of its own."""
        return self.settings.layers[layer].schema is None

    def require_add(self, layer: Layer) -> None:
        if not self.adds:
            raise forbidden("adding memories is switched off: only change or forget what is there")
        self._require_writable(layer)

    def require_update(self, layer: Layer, what: str) -> None:
        if not self.updates:
            raise forbidden(f"changing memories is switched off, and {what} is there already")
        self._require_writable(layer)

    def require_delete(self) -> None:
        if not self.deletes:
            raise forbidden("forgetting memories is switched off")

    def require_clear(self) -> None:
        if not (self.clears and self.deletes):
            raise forbidden(
                "forgetting everything at once is switched off: forget single memories by their numbers, if that is"
                " what the user wants"
            )

    def _require_writable(self, layer: Layer) -> None:
        if layer not in self.writable:
            kept = ", ".join(each for each in Layer if each in self.writable) or "none"
            raise forbidden(f"the layer {layer} takes nothing from tools; those that do: {kept}")


def permissions_in(settings: MemorySettings) -> Permissions:
    """Return what tools may do under these settings."""
    layers = {layer: each for layer, each in settings.layers.items() if each.in_tools}
    operations = settings.operations
    return Permissions(
        reads=settings.enabled,
        writes=settings.offers_tools,
        readable=frozenset(layers),
        # What a tool writes is no statement of the user.
        writable=frozenset(layer for layer, each in layers.items() if not each.stated_only),
        adds=operations.add,
        updates=operations.update,
        deletes=operations.delete,
        clears=operations.clear,
        settings=settings,
    )


def forbidden(message: str) -> FailedPrecondition:
    """Return the error of what the configuration does not allow."""
    return FailedPrecondition(Reason.OPERATION_FORBIDDEN, message)
