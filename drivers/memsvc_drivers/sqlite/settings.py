"""What the SQLite driver is told: its URL and its options, checked."""

from __future__ import annotations

import enum
import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path

from memsvc.errors import invalid
from memsvc_drivers.options import integer_option, option_path, refuse_unknown
from memsvc_drivers.sql.names import TableNames, name_options, table_names


class Access(enum.StrEnum):
    """Who may open the file, and those beside it: the user that memsvc runs as, or its group as well."""

    OWNER = "owner"
    GROUP = "group"

    @property
    def mode(self) -> int:
        return 0o660 if self is Access.GROUP else 0o600


class Synchronous(enum.StrEnum):
    """When SQLite waits for the disk: FULL at every commit, NORMAL at checkpoints, OFF never."""

    FULL = "full"
    NORMAL = "normal"
    OFF = "off"


@dataclass(frozen=True, slots=True)
class Settings:
    """How one store is kept."""

    path: Path
    """Absolute, links followed: all names of a file lead to the same locks."""
    names: TableNames
    busy_timeout_ms: int = 5_000
    """How long to wait for another process; longer is StorageUnavailable."""
    synchronous: Synchronous = Synchronous.FULL
    """Less than FULL may lose acknowledged writes when the machine (not the process) dies."""
    access: Access = Access.OWNER
    """Who may open a file that memsvc makes: `owner` (mode 0600) or `group` (0660). An older file keeps its mode."""
    checkpoint_bytes: int = 4 << 20
    """How much is written, about, between two checkpoints in the background."""
    wal_cap_bytes: int = 64 << 20
    """Past this size of the write-ahead log the writer itself empties it."""
    cache_bytes: int = 2 << 20
    """Page cache of each of the (at most five) connections."""
    max_bytes: int = 0
    """How large the database file may become; 0: as large as the disk. More is STORAGE_FULL."""
    hint_poll_ms: int = 50
    """How often `hints` looks whether anything was committed."""


def parse_settings(url: str, options: Mapping[str, str]) -> Settings:
    """Return the settings of `sqlite:///relative.db` or `sqlite:////absolute/path.db`. Raises InvalidArgument."""
    refuse_unknown(options, [*name_options(), *_INTEGERS, "synchronous", "access"])
    integers = {
        name: integer_option(options, name, _DEFAULTS[name], least=least, most=most)
        for name, (least, most) in _INTEGERS.items()
    }
    return Settings(
        path=_path(url),
        names=table_names(options),
        synchronous=Synchronous(_choice(options, "synchronous", Synchronous)),
        access=Access(_choice(options, "access", Access)),
        **integers,
    )


_INTEGERS = {
    "busy_timeout_ms": (1, 600_000),
    "checkpoint_bytes": (64 << 10, 1 << 40),
    "wal_cap_bytes": (64 << 10, 1 << 40),
    "cache_bytes": (64 << 10, 1 << 32),
    "max_bytes": (0, 1 << 46),
    "hint_poll_ms": (1, 60_000),
}

_DEFAULTS = {field.name: field.default for field in fields(Settings) if isinstance(field.default, int)}


def _choice(options: Mapping[str, str], name: str, choices: type[enum.StrEnum]) -> str:
    chosen = options.get(name, next(iter(choices))).lower()
    if chosen not in list(choices):
        raise invalid(option_path(name), f"{chosen!r} must be one of {', '.join(choices)}")
    return chosen


def _path(url: str) -> Path:
    location = url.partition("://")[2]
    file = location.removeprefix("/")
    if file in ("", ":memory:"):
        raise invalid("storage_url", "names no file: sqlite:///path.db; for a store in RAM use memory://")
    if not location.startswith("/"):
        raise invalid(
            "storage_url",
            "names a host: sqlite:///path.db has three slashes, an absolute path four",
        )
    if "?" in file or "\0" in file:
        raise invalid("storage_url", "must be a path alone: settings are given as options")
    return Path(os.path.realpath(file))
