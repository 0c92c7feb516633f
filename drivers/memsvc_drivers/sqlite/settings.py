"""What the SQLite driver is told: its URL and its options, checked."""

from __future__ import annotations

import enum
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from msgspec import Meta

from memsvc.errors import invalid
from memsvc_drivers.options import read_options
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
    busy_timeout_ms: Annotated[int, Meta(ge=1, le=600_000)] = 5_000
    """How long to wait for another process; longer is StorageUnavailable."""
    synchronous: Synchronous = Synchronous.FULL
    """Less than FULL may lose acknowledged writes when the machine (not the process) dies."""
    access: Access = Access.OWNER
    """Who may open a file that memsvc makes: `owner` (mode 0600) or `group` (0660). An older file keeps its mode."""
    checkpoint_bytes: Annotated[int, Meta(ge=64 << 10, le=1 << 40)] = 4 << 20
    """How much is written, about, between two checkpoints in the background."""
    wal_cap_bytes: Annotated[int, Meta(ge=64 << 10, le=1 << 40)] = 64 << 20
    """Past this size of the write-ahead log the writer itself empties it."""
    cache_bytes: Annotated[int, Meta(ge=64 << 10, le=1 << 32)] = 2 << 20
    """Page cache of each of the (at most five) connections."""
    max_bytes: Annotated[int, Meta(ge=0, le=1 << 46)] = 0
    """How large the database file may become; 0: as large as the disk. More is STORAGE_FULL."""
    hint_poll_ms: Annotated[int, Meta(ge=1, le=60_000)] = 50
    """How often `hints` looks whether anything was committed."""


def parse_settings(url: str, options: Mapping[str, str]) -> Settings:
    """Return the settings of `sqlite:///relative.db` or `sqlite:////absolute/path.db`. Raises InvalidArgument."""
    chosen = read_options(Settings, options, but=("path", "names"), others=name_options())
    return Settings(path=_path(url), names=table_names(options), **chosen)


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
