"""Where the model is and how it is asked."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from memsvc.config import DEFAULTS
from memsvc.endpoint.client import OPENAI_URL
from memsvc.extraction.model.prompt import PromptBudget, StructuredOutput


class OutputLimitField(enum.StrEnum):
    """How the request names its limit on output tokens."""

    MAX_COMPLETION_TOKENS = "max_completion_tokens"
    """OpenAI's name; its newer models take no other."""
    MAX_TOKENS = "max_tokens"
    """The older name, which some compatible servers still want."""
    NONE = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenAISettings:
    """Where the model is and how it is asked. What the endpoint refuses of it is left out, see `Dialect`."""

    model: str
    base_url: str = OPENAI_URL
    api_key: str = field(default="", repr=False)
    """Empty for endpoints that want none."""
    extra_headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    extra_body: Mapping[str, Any] = field(default_factory=dict)
    """More fields of the request, such as `reasoning_effort`."""
    timeout_seconds: float = DEFAULTS.model_timeout_seconds
    """For the whole call."""
    idle_timeout_seconds: float = DEFAULTS.model_idle_timeout_seconds
    """Without a byte from the endpoint; models that think first are silent for long."""
    connect_timeout_seconds: float = DEFAULTS.model_connect_timeout_seconds
    max_output_tokens: int = DEFAULTS.openai_max_output_tokens
    """Thinking counts as output, too."""
    output_limit_field: OutputLimitField = OutputLimitField.MAX_COMPLETION_TOKENS
    max_output_bytes: int = DEFAULTS.model_max_output_bytes
    temperature: float | None = None
    """None: the model's own default; some models take no other."""
    structured_output: StructuredOutput = StructuredOutput.JSON_SCHEMA
    stream_usage: bool = True
    """Ask for usage in the stream."""
    prompt: PromptBudget = field(default_factory=PromptBudget)

    def __post_init__(self) -> None:
        if not self.model:
            raise ValueError("model: must not be empty")
        if not self.base_url.startswith(("http://", "https://")):
            raise ValueError("base_url: must start with http:// or https://")
        if not _names_a_host(self.base_url):
            # Not repeated: it may hold a password.
            raise ValueError("base_url: must be http://host:port/path (is '@', ':' or '/' in the password quoted?)")


def _names_a_host(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
