"""Which engine learns, from the configuration."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from pathlib import Path

from memsvc.config import Config
from memsvc.errors import invalid
from memsvc.extraction.engine import Engine
from memsvc.foreground import Foreground


def chosen_engine(settings: Config) -> str:
    """Return the engine's name: `auto` is openai where a key or an endpoint is set and its package is there."""
    if settings.engine != "auto":
        return settings.engine
    return "openai" if _names_model(settings) and _has_openai() else "rules"


def _names_model(settings: Config) -> bool:
    return bool(settings.openai_api_key or settings.openai_base_url)


def _has_openai() -> bool:
    return importlib.util.find_spec("openai") is not None


def engine_reason(settings: Config, sources: Mapping[str, str]) -> str:
    """Return why it is this engine, for people."""
    if settings.engine != "auto":
        return f"engine is set to {settings.engine}"
    if _names_model(settings) and not _has_openai():
        return "a model is set, but its library is not installed: pip install 'memsvc[openai]'"
    for name in ("openai_api_key", "openai_base_url"):
        if getattr(settings, name):
            return f"{name} is set" + (f" by {sources[name]}" if name in sources else "")
    return "no key and no base URL of a model is set"


def model_of(settings: Config) -> str:
    """Return the model that the engine uses; empty: none."""
    return settings.openai_model if chosen_engine(settings) == "openai" else ""


def build_engine(settings: Config, foreground: Foreground | None = None) -> Engine:
    """Return the engine, which gives way to `foreground`. Raises InvalidArgument for settings it cannot work with."""
    if chosen_engine(settings) == "rules":
        from memsvc.extraction.rules import PatternError, RulesEngine

        try:
            return RulesEngine(Path(settings.rules_patterns) if settings.rules_patterns else None, foreground)
        except PatternError as error:
            raise invalid("rules_patterns", str(error)) from error
    if not _has_openai():
        raise invalid("engine", "openai needs its library: pip install 'memsvc[openai]'")
    from memsvc.endpoint.client import OPENAI_URL
    from memsvc.extraction.model.openai import OpenAIEngine, OpenAISettings, OutputLimitField
    from memsvc.extraction.model.prompt import StructuredOutput

    limit_field = settings.openai_output_limit_field
    try:
        chosen = OpenAISettings(
            model=settings.openai_model,
            base_url=settings.openai_base_url or OPENAI_URL,
            api_key=settings.openai_api_key,
            extra_headers=settings.openai_extra_headers,
            extra_body=settings.openai_extra_body,
            timeout_seconds=settings.model_timeout_seconds,
            idle_timeout_seconds=settings.model_idle_timeout_seconds,
            connect_timeout_seconds=settings.model_connect_timeout_seconds,
            max_output_tokens=settings.openai_max_output_tokens,
            output_limit_field=OutputLimitField("" if limit_field == "none" else limit_field),
            max_output_bytes=settings.model_max_output_bytes,
            temperature=settings.openai_temperature,
            structured_output=StructuredOutput(settings.openai_structured_output),
            stream_usage=settings.openai_stream_usage,
        )
    except ValueError as error:
        name, _, description = str(error).partition(": ")
        raise invalid(f"openai_{name}", description) from error
    return OpenAIEngine(chosen)
