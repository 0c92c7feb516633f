"""What the Postgres driver is told: its URL and its options, checked."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import Annotated
from urllib.parse import parse_qsl, unquote, urlencode

from msgspec import Meta

from memsvc.errors import invalid
from memsvc_drivers.options import option_path, read_options
from memsvc_drivers.sql.names import TableNames, name_fields, name_options, table_names

_LONGEST_CONNECT_MS = 600_000
_MOST_NAME_LENGTH = 50
"""Postgres cuts names at 63, and indexes are named after their tables."""


class SynchronousCommit(enum.StrEnum):
    """What an append waits for, as Postgres calls it."""

    REMOTE_APPLY = "remote_apply"
    ON = "on"
    REMOTE_WRITE = "remote_write"
    LOCAL = "local"
    OFF = "off"


@dataclass(frozen=True, slots=True)
class Settings:
    """How one store is reached and kept."""

    hosts: tuple[str, ...] = field(repr=False)
    """A URL for each host. Holds the password."""
    names: TableNames
    pool_size: Annotated[int, Meta(ge=2, le=1_000)] = 8
    """Connections at most, beside one for hints."""
    connect_timeout_ms: Annotated[int, Meta(ge=10, le=_LONGEST_CONNECT_MS)] = 3_000
    """How long a connection to one host may take."""
    operation_timeout_ms: Annotated[int, Meta(ge=10, le=600_000)] = 5_000
    """How long a call may take, waiting for a connection included; longer is StorageUnavailable."""
    migration_timeout_ms: Annotated[int, Meta(ge=1_000, le=86_400_000)] = 600_000
    """How long `migrate` may take, waiting for another process that migrates included."""
    concurrent_batches: Annotated[int, Meta(ge=1, le=64)] = 2
    """How many batches of appends are under way at once. More pay where the server is far away or has many cores."""
    synchronous_commit: SynchronousCommit = SynchronousCommit.ON
    """What an append waits for: remote_apply, on, remote_write, local (not for standbys), off (may lose acknowledged
    writes). Behind a transaction pooler it is the server's setting that holds."""
    hints: bool = True
    """Whether replicas tell each other of appends, by LISTEN and NOTIFY."""
    transaction_pooler: bool = False
    """Whether the URL leads to a pooler that gives a server connection to each transaction (PgBouncer): no session
    settings, no prepared statements and no hints then."""


def parse_settings(url: str, options: Mapping[str, str]) -> Settings:
    """Return the settings of `postgresql://user:password@host:port/database?sslmode=...`. Raises InvalidArgument."""
    chosen = read_options(Settings, options, but=("hosts", "names"), others=name_options())
    parts, parameters = _split(url)
    if "connect_timeout" in parameters:
        chosen = {"connect_timeout_ms": _seconds(parameters.pop("connect_timeout")), **chosen}
    if "pgbouncer" in parameters:
        # As others call it, who take the same URL.
        chosen = {"transaction_pooler": parameters.pop("pgbouncer").lower() in ("true", "1"), **chosen}
    settings = Settings(hosts=tuple(_urls(parts, parameters)), names=_names(options), **chosen)
    if settings.concurrent_batches >= settings.pool_size:
        raise invalid(option_path("concurrent_batches"), "must leave a connection of pool_size to reads")
    return settings


_CHOICES = {
    "sslmode": ("disable", "allow", "prefer", "require", "verify-ca", "verify-full"),
    "target_session_attrs": ("any", "read-write", "primary"),
}

_FILES = ("sslrootcert", "sslcert", "sslkey", "sslcrl", "passfile")

_ROOT_CERTIFICATE = Path("~/.postgresql/root.crt")
"""Where libpq looks for it."""

_OF_THE_NETWORK = ("keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count", "tcp_user_timeout")
"""Parameters of libpq that have no say here: the driver's own timeouts tell when a connection is dead."""

_Parts = tuple[str, list[tuple[str, str]], str]


def _split(url: str) -> tuple[_Parts, dict[str, str]]:
    """Return who connects, to which hosts and ports, and which database, all still quoted; and the parameters."""
    location, _, query = url.partition("://")[2].partition("?")
    # A fragment is no part of such a URL: a password with an unquoted `#` would be cut.
    if "#" in location or "#" in query:
        raise invalid("storage_url", "must not contain '#': write it as %23")
    try:
        parameters = dict(parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query)))
    except ValueError:
        # Neither the text nor the cause: they quote the URL, which may hold a password.
        raise invalid("storage_url", "the parameters after '?' must be name=value, joined by '&'") from None
    netloc, _, database = location.partition("/")
    user, _, places = netloc.rpartition("@")
    hosts = [_host_and_port(place) for place in places.split(",")] if places else []
    if "host" in parameters:
        names = parameters.pop("host").split(",")
        ports = parameters.pop("port", "").split(",")
        if len(ports) not in (1, len(names)):
            raise invalid("storage_url", "port must name one port, or one for each host")
        fill = ports[0] if len(ports) == 1 else ""
        hosts = [(name, port) for name, port in zip_longest(names, ports[: len(names)], fillvalue=fill)]
    elif "port" in parameters:
        port = parameters.pop("port")
        hosts = [(name, of_place or port) for name, of_place in hosts or [("", "")]]
    if any(port and not (port.isdecimal() and 0 < int(port) < 65_536) for _, port in hosts):
        raise invalid("storage_url", "a port must be a number up to 65535 (is '@' or '/' in the password quoted?)")
    _check(parameters)
    parameters.setdefault("target_session_attrs", "read-write")
    return (user, hosts or [("", "")], database), parameters


def _host_and_port(place: str) -> tuple[str, str]:
    if place.startswith("["):
        host, _, rest = place[1:].partition("]")
        return host, rest.removeprefix(":")
    host, _, port = place.partition(":")
    return unquote(host), port


def _check(parameters: dict[str, str]) -> None:
    for name, choices in _CHOICES.items():
        if parameters.get(name, choices[0]) not in choices:
            raise invalid("storage_url", f"{name} must be one of {', '.join(choices)}")
    if parameters.pop("channel_binding", "disable") == "require":
        raise invalid("storage_url", "channel_binding=require is not offered: sslmode=verify-full protects as well")
    if parameters.pop("gssencmode", "disable") == "require":
        raise invalid("storage_url", "gssencmode=require is not offered")
    for name in _FILES:
        if name in parameters and not Path(parameters[name]).is_file():
            raise invalid("storage_url", f"{name} names no file")
    verifies = parameters.get("sslmode", "").startswith("verify-")
    if verifies and "sslrootcert" not in parameters and not _ROOT_CERTIFICATE.expanduser().is_file():
        raise invalid(
            "storage_url", f"sslmode={parameters['sslmode']} needs sslrootcert, the file of the root certificate"
        )
    for name in _OF_THE_NETWORK:
        parameters.pop(name, None)


def _urls(parts: _Parts, parameters: Mapping[str, str]) -> Iterator[str]:
    user, hosts, database = parts
    for host, port in hosts:
        named = {"host": host, "port": port}
        # The host as a parameter: it may be the folder of a socket.
        query = urlencode({**{name: value for name, value in named.items() if value}, **parameters})
        yield f"postgresql://{user}{'@' if user else ''}/{database}?{query}"


def _names(options: Mapping[str, str]) -> TableNames:
    names = table_names(options)
    for name in name_fields():
        chosen, option = getattr(names, name), f"table_{name}"
        if len(chosen) > _MOST_NAME_LENGTH:
            blamed = option if option in options else "table_prefix"
            raise invalid(option_path(blamed), f"{chosen!r} must be at most {_MOST_NAME_LENGTH} characters")
    return names


def _seconds(text: str) -> int:
    if not text.isdecimal():
        raise invalid("storage_url", "connect_timeout must be a whole number of seconds")
    return min(int(text) * 1_000, _LONGEST_CONNECT_MS) or _LONGEST_CONNECT_MS
