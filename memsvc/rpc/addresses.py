"""Addresses to listen on: `unix:///path`, `host:port`, `[ipv6]:port`."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Final

from msgspec import Struct

from memsvc.errors import invalid

MAX_SOCKET_PATH_BYTES: Final = 107
"""What the kernel keeps of a unix socket's path."""


class UnixAddress(Struct, frozen=True):
    """A unix socket."""

    path: Path

    def __str__(self) -> str:
        return f"unix://{self.path}"


class TcpAddress(Struct, frozen=True):
    """A host and a port; port 0: any that is free."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


Address = UnixAddress | TcpAddress


def parse_address(
    text: str, *, insecure: bool = False, setting: str = "listen", lacks: str = "TLS and tokens"
) -> Address:
    """Return an address that may be served. `lacks`: what it needs before other machines may reach it; empty: nothing.

    Raises InvalidArgument that names the setting: for one that is malformed, a path too long for a socket, and, unless
    `insecure`, one that other machines can reach though it lacks something.
    """
    if text.startswith("unix:"):
        return UnixAddress(_socket_path(text, setting))
    host, separator, port = text.rpartition(":")
    if not separator or not port.isascii() or not port.isdigit() or int(port) > 65_535:
        raise invalid(setting, f"{text!r} must be unix:///path or host:port")
    host = host.removeprefix("[").removesuffix("]")
    address = TcpAddress(host or "0.0.0.0", int(port))  # noqa: S104
    if not address.is_loopback and lacks and not insecure:
        why = f"can be reached from other machines and lacks {lacks}"
        raise invalid(setting, f"{text!r} {why}: give it that, use loopback, or say --insecure")
    return address


def _socket_path(text: str, setting: str) -> Path:
    name = text.removeprefix("unix:")
    if name.startswith("//"):
        name = name.removeprefix("//")
        if not name.startswith("/"):
            raise invalid(setting, f"{text!r} must name an absolute path: unix:///path")
    if not name or "\0" in name:
        raise invalid(setting, f"{text!r} must be unix:///path or host:port")
    path = Path(name).absolute()
    size = len(str(path).encode())
    if size > MAX_SOCKET_PATH_BYTES:
        raise invalid(setting, f"{path} is {size} bytes; a socket's path has at most {MAX_SOCKET_PATH_BYTES}")
    return path
