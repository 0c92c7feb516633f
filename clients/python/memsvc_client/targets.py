"""Where a server may be: what `MemoryClient(target)` takes, and what to write instead of what it does not take.

What is refused is never shown: it may be a database's URL, with a password.
"""

from __future__ import annotations

import ipaddress
import os
import re
from typing import Any

from memsvc_client.wire import string

PORT = 7432
"""Where `memsvc serve` listens unless it is told otherwise."""
FORMS = f'"unix:///run/memsvc/memsvc.sock" or "127.0.0.1:{PORT}"'
MAX_SOCKET_PATH_BYTES = 107

TLS = "tls://"
"""Stands before host:port where the server speaks TLS."""

_MAX_HOST_CHARACTERS = 253
_SHOWN = 80
"""So many characters of a target are repeated in an error."""
_SOCKETS = ("unix:", "unix-abstract:")
_RESOLVERS = ("dns:", "ipv4:", "ipv6:", "xds:")
_DATABASES = ("sqlite", "postgres", "postgresql", "redis", "rediss", "mongodb", "mongodb+srv", "memory")


def checked_target(target: Any) -> str:
    """Return `target`; with `tls://` before it, too. Raises TypeError or ValueError that says what to write instead."""
    if isinstance(target, os.PathLike):
        raise TypeError(f'target must be a string, not a path: write f"unix://{{path}}" with an absolute path; {FORMS}')
    text = string("target", target)
    if not text:
        raise ValueError(f"target is empty: write {FORMS}")
    if not target.isprintable() or " " in target:
        raise ValueError(f"target holds spaces or what cannot be printed: write {FORMS}")
    if target.startswith(TLS):
        _check_host_and_port(target.removeprefix(TLS))
    elif target.startswith(_SOCKETS):
        _check_socket(target)
    elif "://" in target and not target.startswith(_RESOLVERS):
        raise ValueError(_other_scheme(target))
    elif target.startswith(("/", "./", "../", "~")) or target.endswith((".sock", ".db")):
        raise ValueError(
            f'target is a path: for a socket write "unix://" and its absolute path, as {FORMS}; '
            "for a SQLite file use MemoryClient.local(path)"
        )
    elif not target.startswith(_RESOLVERS):
        _check_host_and_port(target)
    return text


def is_local(target: str) -> bool:
    """Tell whether a target is a socket or on the loopback: nothing there is reached through a proxy."""
    if target.startswith(_SOCKETS):
        return True
    address = re.sub(r"^(dns|ipv4|ipv6):(//[^/]*/|/*)", "", target)
    host = re.sub(r":\d*$", "", address) if address.count(":") == 1 or "]" in address else address
    host = host.strip("[]").partition("%")[0].rstrip(".").lower()
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        parsed = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
    return parsed.is_loopback or parsed.is_unspecified or (mapped is not None and mapped.is_loopback)


def _check_socket(target: str) -> None:
    scheme, _, path = target.partition(":")
    if scheme == "unix" and path.startswith("//") and not path.startswith("///"):
        raise ValueError('target names a host before its path: "unix:///absolute/path" has three slashes')
    path = path.removeprefix("//")
    if not path.strip("/"):
        raise ValueError(f"target names no socket: write {FORMS}")
    if len(os.fsencode(path)) > MAX_SOCKET_PATH_BYTES:
        raise ValueError(f"target: a socket's path has at most {MAX_SOCKET_PATH_BYTES} bytes; this one is longer")


def _other_scheme(target: str) -> str:
    scheme, _, rest = target.partition("://")
    scheme = scheme.lower()
    if scheme == "sqlite":
        return (
            "target is a database, and a client speaks to a server: MemoryClient.local(path) starts one on a SQLite "
            f"file; or start `memsvc serve` and write its address, {FORMS}"
        )
    if scheme in _DATABASES:
        return (
            "target is a database, and a client speaks to a server: start `memsvc serve --storage-url ...` with that "
            f"URL and write the server's address, {FORMS}"
        )
    if "@" in rest:
        return f"target holds a user or password: write host:port, and token= for what proves who you are; {FORMS}"
    if scheme in ("https", "grpcs"):
        host = _host_of(rest, 443)
        return f'target is no URL: write "{TLS}{host}" for TLS, or "{host}" and credentials= of your own'
    if scheme in ("http", "grpc", "tcp"):
        return f'target is no URL: write host:port, "{_host_of(rest, PORT)}"'
    return f"target has a scheme that is not known: write {FORMS}"


def _host_of(rest: str, port: int) -> str:
    host = re.split(r"[/?#]", rest, maxsplit=1)[0] or "127.0.0.1"
    return host if re.search(r":\d+$", host) else f"{host}:{port}"


def _check_host_and_port(target: str) -> None:
    if "@" in target:
        raise ValueError(f"target holds a user or password: write host:port, and token= instead; {FORMS}")
    if "/" in target:
        raise ValueError(f"target has a path: write host:port alone; {FORMS}")
    if target.count(":") > 1 and not target.startswith("["):
        raise ValueError(f'target: an IPv6 address stands in brackets, "[::1]:{PORT}"')
    host, colon, port = target.rpartition(":")
    if not colon or target.endswith("]"):
        raise ValueError(
            f'target names no port: write "{target:.{_SHOWN}}:{PORT}", if that is where the server listens'
        )
    if not host:
        raise ValueError(f'target names no host: write "127.0.0.1:{port:.{_SHOWN}}"')
    if ("[" in host or "]" in host) and not _is_ipv6_in_brackets(host):
        raise ValueError(f'target: an IPv6 address stands in brackets, "[::1]:{PORT}", and nothing else does')
    if len(host) > _MAX_HOST_CHARACTERS:
        raise ValueError(f"target: a host's name has at most {_MAX_HOST_CHARACTERS} characters; {FORMS}")
    if not (port.isascii() and port.isdecimal() and 0 < int(port) < 65_536):
        raise ValueError(f"target: the port must be a number from 1 to 65535; {FORMS}")


def _is_ipv6_in_brackets(host: str) -> bool:
    if not (host.startswith("[") and host.endswith("]")):
        return False
    try:
        ipaddress.IPv6Address(host[1:-1])
    except ValueError:
        return False
    return True
