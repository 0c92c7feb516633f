"""Which engine learns, from the configuration."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Protocol

from memsvc.errors import invalid
from memsvc.extraction.engine import Engine
from memsvc.foreground import Foreground


class EngineSettings(Protocol):
    """What of the configuration is about engines; see `memsvc.config.Config`."""

    @property
    def engine(self) -> str: ...
    @property
    def openai_base_url(self) -> str: ...
    @property
    def openai_api_key(self) -> str: ...
    @property
    def openai_model(self) -> str: ...
    @property
    def openai_structured_output(self) -> str: ...
    @property
    def model_timeout_seconds(self) -> float: ...
    @property
    def model_idle_timeout_seconds(self) -> float: ...
    @property
    def rules_patterns(self) -> str: ...


def chosen_engine(settings: EngineSettings) -> str:
    """Return the engine's name: `auto` is openai where a key or an endpoint is set, else rules."""
    if settings.engine != "auto":
        return settings.engine
    return "openai" if settings.openai_api_key or settings.openai_base_url else "rules"


def build_engine(settings: EngineSettings, foreground: Foreground | None = None) -> Engine:
    """Return the engine, which gives way to `foreground`. Raises InvalidArgument for settings it cannot work with."""
    if chosen_engine(settings) == "rules":
        from memsvc.extraction.rules import PatternError, RulesEngine

        try:
            return RulesEngine(Path(settings.rules_patterns) if settings.rules_patterns else None, foreground)
        except PatternError as error:
            raise invalid("rules_patterns", str(error)) from error
    if importlib.util.find_spec("openai") is None:
        raise invalid("engine", "openai needs its library: pip install 'memsvc[openai]'")
    from memsvc.extraction.model.openai import OpenAIEngine, OpenAISettings
    from memsvc.extraction.model.prompt import StructuredOutput

    try:
        chosen = OpenAISettings(
            model=settings.openai_model,
            base_url=settings.openai_base_url or "https://api.openai.com/v1",
            api_key=settings.openai_api_key,
            timeout_seconds=settings.model_timeout_seconds,
            idle_timeout_seconds=settings.model_idle_timeout_seconds,
            structured_output=StructuredOutput(settings.openai_structured_output),
        )
    except ValueError as error:
        name, _, description = str(error).partition(": ")
        raise invalid(f"openai_{name}", description) from error
    return OpenAIEngine(chosen)
