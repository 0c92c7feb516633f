"""Every tunable: its name, unit, default, and why that default.

A setting comes from, in this order: the command line (`--lease-seconds 10`), the environment
(`MEMSVC_LEASE_SECONDS=10`), a TOML file (`lease_seconds = 10`; `--config` or `MEMSVC_CONFIG`), the default. Lists are
comma-separated outside TOML.
"""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_type_hints

from memsvc.errors import invalid

ENVIRONMENT_PREFIX = "MEMSVC_"


def setting(default: Any, help_text: str, *, secret: bool = False) -> Any:
    """Declare a setting with its default and the reason for it."""
    metadata = {"help": help_text, "secret": secret}
    if isinstance(default, (list, dict)):
        return field(default_factory=lambda: type(default)(default), metadata=metadata)
    return field(default=default, metadata=metadata)


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """What a server is started with."""

    storage_url: str = setting(
        "sqlite:///tmp/memsvc.db",
        "Database: sqlite:///path, memory:// or that of another installed driver. A sidecar needs no more than a file.",
    )
    storage_options: dict[str, str] = setting(
        {},
        "Options of the driver, name=value: table_prefix, names of single tables, timeouts. See `memsvc drivers`.",
    )
    listen: list[str] = setting(
        ["127.0.0.1:7432"],
        "Addresses to serve: unix:///path or host:port. Loopback, because everything else needs TLS and tokens.",
    )
    insecure: bool = setting(
        False, "Allow addresses other than loopback and unix sockets without TLS. Said aloud, never by default."
    )
    health_listen: str = setting(
        "", "Address of a health-only server for kubelet probes, host:port. Empty: none; the main port answers too."
    )
    ready_file: str = setting("", "File to write the bound addresses to, one a line, once serving. Empty: none.")
    exit_when_unlocked: str = setting(
        "", "Exit once nobody else holds a lock on this file: for sidecars that a client starts. Empty: never."
    )
    engine: str = setting(
        "auto", "Extraction engine: rules, openai or auto: openai where a key or base URL is set, else rules."
    )
    openai_base_url: str = setting("", "An OpenAI-compatible endpoint. Empty: OpenAI's own.")
    openai_api_key: str = setting("", "Its key; OPENAI_API_KEY is read too. Never logged.", secret=True)
    openai_model: str = setting("gpt-5-mini", "Its model: small and cheap is enough for extraction.")
    openai_structured_output: str = setting(
        "json_schema", "How the model is held to the form: json_schema, json_object or text (for servers without them)."
    )
    model_timeout_seconds: float = setting(120.0, "A model call ends after this: well above what a slow model takes.")
    model_idle_timeout_seconds: float = setting(
        60.0, "... or when it sends nothing for so long: models that think first are silent for long."
    )
    rules_patterns: str = setting(
        "", "A TOML file of patterns that the rules engine uses besides its own. Empty: none."
    )
    quiet_seconds: float = setting(
        1.0, "A run waits so long for the next one of its session: turns that come together cost one model call."
    )
    max_quiet_seconds: float = setting(10.0, "... but never longer than this, however many follow.")
    lease_seconds: float = setting(
        30.0, "A worker that does not renew its claim for so long is replaced: three renewals may be lost before."
    )
    extraction_concurrency: int = setting(8, "Extractions under way at once in this process.")
    max_attempts: int = setting(
        5, "An extraction that failed so often stops as FAILED: visible, and retryable by hand."
    )
    max_wait_seconds: float = setting(
        7 * 24 * 3600.0,
        "An extraction that waited so long for its model stops as FAILED: a week of outage is survived.",
    )
    poll_seconds: float = setting(
        1.0, "How often the database is asked for work that other processes left: cheap, and bounds their delay."
    )
    memory_quota: int = setting(10_000, "Memories a user may have. A user is held in RAM whole while in use.")
    cache_bytes: int = setting(
        64 << 20, "RAM for hot users. Thousands of ordinary users fit; those not used for longest go first."
    )
    max_request_bytes: int = setting(4 << 20, "The largest request accepted: a run of 2 MiB with room to spare.")
    default_deadline_seconds: float = setting(30.0, "The deadline of a call whose client set none.")
    max_calls: int = setting(
        4_000, "Calls under way at once; more are refused, so that a database that hangs costs bounded memory."
    )
    drain_seconds: float = setting(
        10.0, "How long SIGTERM waits for calls under way: within a pod's default grace period of 30 s."
    )
    log_level: str = setting("INFO", "DEBUG, INFO, WARNING or ERROR. Logs carry no memory content.")

    def __post_init__(self) -> None:
        if self.engine not in ("auto", "rules", "openai"):
            raise invalid("engine", "must be auto, rules or openai")
        if self.openai_structured_output not in ("json_schema", "json_object", "text"):
            raise invalid("openai_structured_output", "must be json_schema, json_object or text")
        if self.log_level.upper() not in ("DEBUG", "INFO", "WARNING", "ERROR"):
            raise invalid("log_level", "must be DEBUG, INFO, WARNING or ERROR")
        if not self.listen:
            raise invalid("listen", "must name at least one address")
        for each in dataclasses.fields(self):
            value = getattr(self, each.name)
            if isinstance(value, (int, float)) and not isinstance(value, bool) and value < 0:
                raise invalid(each.name, "must not be negative")
        for name in (
            "lease_seconds",
            "extraction_concurrency",
            "max_attempts",
            "poll_seconds",
            "memory_quota",
            "max_calls",
        ):
            if not getattr(self, name):
                raise invalid(name, "must be more than 0")


def load_config(
    flags: Mapping[str, Any], environment: Mapping[str, str], config_file: str = ""
) -> tuple[Config, Mapping[str, str]]:
    """Return the configuration, and where each setting that is not a default came from.

    Raises InvalidArgument naming the setting that is unknown or malformed.
    """
    kinds = get_type_hints(Config)
    path = config_file or environment.get(ENVIRONMENT_PREFIX + "CONFIG", "")
    from_file = _read_file(path, kinds) if path else {}
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for name, kind in kinds.items():
        variable = ENVIRONMENT_PREFIX + name.upper()
        if flags.get(name) is not None:
            values[name], sources[name] = _parse(name, kind, flags[name]), "flag"
        elif variable in environment:
            values[name], sources[name] = _parse(name, kind, environment[variable]), variable
        elif name in from_file:
            values[name], sources[name] = _parse(name, kind, from_file[name]), path
    if not values.get("openai_api_key") and environment.get("OPENAI_API_KEY"):
        values["openai_api_key"], sources["openai_api_key"] = environment["OPENAI_API_KEY"], "OPENAI_API_KEY"
    return Config(**values), sources


def _read_file(path: str, kinds: Mapping[str, object]) -> Mapping[str, Any]:
    try:
        values = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise invalid("config", f"cannot read {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise invalid("config", f"{path} is not TOML: {error}") from error
    for name in values:
        if name not in kinds:
            raise invalid(name, f"is no setting ({path})")
    return values


_WANTED: Mapping[object, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a string",
    list[str]: "a string or a list of strings",
}


def _parse(name: str, kind: Any, value: Any) -> Any:
    try:
        if kind is bool:
            return value if isinstance(value, bool) else _boolean(str(value))
        if kind in (int, float, str):
            if isinstance(value, bool):
                raise ValueError("a boolean")
            return kind(value)
        if kind == list[str]:
            return _items(value)
        if isinstance(value, Mapping):
            return {str(key): str(item) for key, item in value.items()}
        pairs = [item.partition("=") for item in _items(value)]
        if not all(separator for _, separator, _ in pairs):
            raise ValueError("not name=value")
        return {key.strip(): item.strip() for key, _, item in pairs}
    except (TypeError, ValueError, OverflowError):
        raise invalid(name, f"must be {_WANTED.get(kind, 'name=value,...')}, not {value!r}") from None


def _boolean(text: str) -> bool:
    if text.lower() in ("1", "true", "yes", "on"):
        return True
    if text.lower() in ("0", "false", "no", "off"):
        return False
    raise ValueError(text)


def _items(value: object) -> list[str]:
    items = value.split(",") if isinstance(value, str) else value
    if not isinstance(items, (list, tuple)) or not all(isinstance(item, str) for item in items):
        raise ValueError("neither a string nor a list of strings")
    return [item.strip() for item in items if item.strip()]
