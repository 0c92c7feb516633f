"""Settings: what is configured of memory for a namespace and its agents, and what of it is in force where.

A use case that has to know asks the one `SettingsReader` of the application (`application.settings_reader`), as fresh
as it reads the user, and gets a frozen `MemorySettings`:

    settings = await reader.in_force(scope, agent_id="coder", overrides=read_settings(request))
    if not settings.offers_tools: ...
    if settings.operations.clear: ...
    if settings.layers[Layer.PROFILE].learned: ...
"""

from memsvc.settings.reading import NamespaceSettings, SettingsReader
from memsvc.settings.resolved import (
    DEFAULT_SETTINGS,
    LayerSettings,
    MemorySettings,
    Operations,
    Retention,
    overlaid,
    resolved,
)
from memsvc.settings.schema import Misfit, Schema, compile_schema

__all__ = [
    "DEFAULT_SETTINGS",
    "LayerSettings",
    "MemorySettings",
    "Misfit",
    "NamespaceSettings",
    "Operations",
    "Retention",
    "Schema",
    "SettingsReader",
    "compile_schema",
    "overlaid",
    "resolved",
]
