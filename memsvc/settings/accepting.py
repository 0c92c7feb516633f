"""What an extraction keeps of the settings that it is accepted under."""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from memsvc.configuration import NOTHING, GivenSettings, written
from memsvc.model import Extraction
from memsvc.settings.resolved import MemorySettings
from memsvc.tracing import traceparent


class Terms(Struct, frozen=True, gc=False):
    """The settings under which something is learned, in few bytes: the rest is in the namespace's journal."""

    config_revision: int = 0
    digest: str = ""
    overrides: str = ""
    trace: str = ""
    """The sampled call that it is accepted in, if it is one."""

    @classmethod
    def of(cls, settings: MemorySettings, overrides: GivenSettings = NOTHING) -> Terms:
        """Return the terms of `settings`, which a request that brought `overrides` is accepted under."""
        return cls(settings.config_revision, settings.learning_digest, written(overrides), traceparent())

    def put_on(self, extraction: Extraction) -> Extraction:
        """Return the extraction with these terms."""
        return replace(
            extraction,
            config_revision=self.config_revision,
            settings_digest=self.digest,
            overrides=self.overrides,
            trace=self.trace,
        )


NO_TERMS = Terms()
