"""What the Redis driver is told: its URL and its options, checked."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Annotated, Any, NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit

from msgspec import Meta

from memsvc.errors import invalid
from memsvc_drivers.options import option_path, read_options

DEFAULT_PORT = 6379
DEFAULT_SENTINEL_PORT = 26379
TLS_FILES = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")


class Address(NamedTuple):
    """Where a server listens."""

    host: str
    port: int

    @property
    def is_loopback(self) -> bool:
        """Whether what is sent there stays on this machine."""
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Mode(enum.StrEnum):
    """How the server that is to be written to is found."""

    STANDALONE = "standalone"
    SENTINEL = "sentinel"
    CLUSTER = "cluster"


class ScrubMode(enum.StrEnum):
    """Whether the append-only file is rewritten after an erasure or a redaction."""

    REWRITE = "rewrite"
    OFF = "off"


@dataclass(frozen=True, slots=True)
class Credentials:
    """Who the driver is to a server; empty: nobody in particular."""

    username: str = ""
    password: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Settings:
    """Where a store is and how it is used."""

    mode: Mode
    hosts: tuple[Address, ...]
    """The server; or the Sentinels; or some nodes of the cluster, which name the others."""
    service: str
    """The name by which Sentinels know the server."""
    database: int
    credentials: Credentials
    sentinel_credentials: Credentials
    tls: Mapping[str, Any] | None = field(repr=False)
    """redis-py's `ssl_...` arguments; None: no TLS."""
    key_prefix: str = "memsvc:"
    """What all keys begin with. Stores with different prefixes share a server without meeting."""
    pool_size: Annotated[int, Meta(ge=1, le=1_000)] = 16
    """How many connections there may be to one server."""
    connect_timeout_ms: Annotated[int, Meta(ge=10, le=60_000)] = 1_000
    """How long a call waits for a connection, also while the server is known to be gone."""
    operation_timeout_ms: Annotated[int, Meta(ge=10, le=600_000)] = 5_000
    """How long a call may take in all; longer is StorageUnavailable."""
    wait_replicas: Annotated[int, Meta(ge=0, le=100)] = 0
    """How many replicas must have an append before it is acknowledged (WAIT); fewer is an unknown outcome."""
    wait_timeout_ms: Annotated[int, Meta(ge=1, le=60_000)] = 1_000
    """How long to wait for them."""
    hint_interval_ms: Annotated[int, Meta(ge=0, le=60_000)] = 20
    """How long hints are gathered before they are published; 0: publish none."""
    scrub: ScrubMode = ScrubMode.REWRITE
    """Rewrite the append-only file after an erasure or a redaction (`rewrite`), or leave that to the server (`off`)."""


NOT_OPTIONS = ("mode", "hosts", "service", "database", "credentials", "sentinel_credentials", "tls")
"""Fields of `Settings` that the URL says."""


def parse_settings(url: str, options: Mapping[str, str]) -> Settings:
    """Return the settings of one of these URLs. Raises InvalidArgument.

    - `redis://[user:password@]host[:port][/database]`
    - `redis+sentinel://[user:password@]host[:port],host[:port]/service[/database]`
    - `redis+cluster://[user:password@]host[:port],host[:port]`

    `rediss` in place of `redis` is TLS, to the Sentinels too. Parameters are `db`, redis-py's `ssl_ca_certs`,
    `ssl_certfile`, `ssl_keyfile`, `ssl_password`, `ssl_cert_reqs` and `ssl_check_hostname`, and for Sentinels that
    want credentials of their own `sentinel_username` and `sentinel_password`.
    """
    settings = Settings(**_parse_url(url), **read_options(Settings, options, but=NOT_OPTIONS))
    if settings.wait_replicas and settings.wait_timeout_ms >= settings.operation_timeout_ms:
        raise invalid(option_path("wait_timeout_ms"), "must be less than operation_timeout_ms")
    _check_key_prefix(settings.key_prefix)
    return settings


_MODES = {"redis": Mode.STANDALONE, "redis+sentinel": Mode.SENTINEL, "redis+cluster": Mode.CLUSTER}
_CERT_REQS = ("none", "optional", "required")
_BOOLEANS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
_MAX_PREFIX_BYTES = 100
_MAX_DATABASE_DIGITS = 9


def _check_key_prefix(prefix: str) -> None:
    if not prefix.isprintable() or any(sign in prefix for sign in "{} ") or len(prefix.encode()) > _MAX_PREFIX_BYTES:
        description = f"must be at most {_MAX_PREFIX_BYTES} bytes of text without braces, which Redis gives a meaning"
        raise invalid(option_path("key_prefix"), description)


def _parse_url(url: str) -> dict[str, Any]:
    try:
        parts = urlsplit(url)
    except ValueError:
        # Neither the text nor the cause: they quote the URL, which may hold a password.
        raise _wrong("is no URL: redis://user:password@host:port/database") from None
    scheme, _, suffix = parts.scheme.partition("+")
    mode = _MODES.get(f"redis+{suffix}" if suffix else "redis")
    if scheme not in ("redis", "rediss") or mode is None:
        raise _wrong("must begin with redis://, redis+sentinel:// or redis+cluster://; rediss is TLS")
    userinfo, _, hosts = parts.netloc.rpartition("@")
    username, _, password = userinfo.partition(":")
    parameters = _parameters(parts.query, tls=scheme == "rediss")
    service, database = _path(mode, parts.path)
    if "db" in parameters:
        database = _database(parameters["db"])
        if mode is Mode.CLUSTER and database:
            raise _wrong("a cluster has one database only: leave out db")
    port = DEFAULT_SENTINEL_PORT if mode is Mode.SENTINEL else DEFAULT_PORT
    addresses = tuple(_address(host, port) for host in hosts.split(","))
    if mode is Mode.STANDALONE and len(addresses) > 1:
        raise _wrong("names several hosts: that takes redis+sentinel:// or redis+cluster://")
    sentinel = Credentials(parameters.get("sentinel_username", ""), parameters.get("sentinel_password", ""))
    return {
        "mode": mode,
        "hosts": addresses,
        "service": service,
        "database": database,
        "credentials": Credentials(unquote(username), unquote(password)),
        "sentinel_credentials": sentinel,
        "tls": _tls(parameters) if scheme == "rediss" else None,
    }


def _wrong(description: str) -> Exception:
    return invalid("storage_url", description)


def _address(text: str, default_port: int) -> Address:
    try:
        parts = urlsplit(f"//{text}")
        port = parts.port or default_port
    except ValueError:
        raise _wrong("must name hosts as host:port, with commas between them") from None
    if not text:
        raise _wrong("names no host: redis://host:port/database")
    return Address(unquote(parts.hostname or "localhost"), port)


def _path(mode: Mode, path: str) -> tuple[str, int]:
    words = [unquote(word) for word in path.strip("/").split("/") if word]
    if mode is Mode.SENTINEL:
        if not 1 <= len(words) <= 2:
            raise _wrong("must name the service: redis+sentinel://host:port/service/database")
        return words[0], _database(words[1]) if len(words) > 1 else 0
    if len(words) > 1:
        raise _wrong("path must be the number of a database")
    database = _database(words[0]) if words else 0
    if mode is Mode.CLUSTER and database:
        raise _wrong("a cluster has one database only: leave out the path")
    return "", database


def _database(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or len(text) > _MAX_DATABASE_DIGITS:
        # Not repeated, as nothing is that may be part of a password.
        raise _wrong("the database must be a whole number (is '/' in the password quoted?)")
    return int(text)


def _parameters(query: str, *, tls: bool) -> dict[str, str]:
    known = ["db", "sentinel_username", "sentinel_password"]
    if tls:
        known += [*TLS_FILES, "ssl_password", "ssl_cert_reqs", "ssl_check_hostname"]
    parameters = dict(parse_qsl(query, keep_blank_values=True))
    for name in parameters:
        if name not in known:
            hint = "; timeouts and pools are options of the driver"
            raise _wrong(f"must have no other parameters than {', '.join(known)}{hint}")
    return parameters


def _tls(parameters: Mapping[str, str]) -> Mapping[str, Any]:
    tls: dict[str, Any] = {name: parameters[name] for name in (*TLS_FILES, "ssl_password") if parameters.get(name)}
    tls["ssl_cert_reqs"] = parameters.get("ssl_cert_reqs", "required")
    if tls["ssl_cert_reqs"] not in _CERT_REQS:
        raise _wrong(f"ssl_cert_reqs must be one of {', '.join(_CERT_REQS)}")
    check = parameters.get("ssl_check_hostname", "true").lower()
    if check not in _BOOLEANS:
        raise _wrong("ssl_check_hostname must be true or false")
    tls["ssl_check_hostname"] = _BOOLEANS[check]
    return tls
