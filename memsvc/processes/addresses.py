"""Addresses that several processes serve: held by the supervisor from before they serve until all have ended.

A TCP port is bound by each process, with SO_REUSEPORT; the supervisor only keeps it, so that a port that was 0 is the
same for all, and nobody else gets it while a process is started anew. A unix socket is bound here, and inherited.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Mapping
from types import TracebackType
from typing import Final, Self

from msgspec import structs

from memsvc.config import Config
from memsvc.errors import invalid
from memsvc.rpc.addresses import Address, TcpAddress, UnixAddress, parse_address
from memsvc.rpc.socket_lock import SOCKET_MODE, SocketLock

_BACKLOG: Final = 4_096
"""The kernel takes no more than net.core.somaxconn."""


class HeldAddresses:
    """Holds addresses; a context manager."""

    def __init__(self) -> None:
        self._ports: list[socket.socket] = []
        self._sockets: dict[str, socket.socket] = {}
        self._locks: list[SocketLock] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for held in (*self._ports, *self._sockets.values()):
            held.close()
        for lock in self._locks:
            lock.release()

    @property
    def sockets(self) -> Mapping[str, int]:
        """Descriptors of the unix sockets, by their addresses."""
        return {address: held.fileno() for address, held in self._sockets.items()}

    def hold(self, config: Config) -> Config:
        """Hold what is to be served, and return the settings with the real ports.

        Raises InvalidArgument for an address that cannot be served. Whether it may be is for those that serve to say.
        """
        return structs.replace(
            config,
            listen=[self._held(address, "listen") for address in config.listen],
            health_listen=self._held(config.health_listen, "health_listen"),
            http_listen=self._held(config.http_listen, "http_listen"),
        )

    def _held(self, text: str, setting: str) -> str:
        if not text:
            return text
        address: Address = parse_address(text, insecure=True, setting=setting)
        try:
            return self._socket(address) if isinstance(address, UnixAddress) else self._port(address)
        except OSError as error:
            why = "another process listens there" if error.errno == errno.EADDRINUSE else error.strerror
            raise invalid(setting, f"cannot listen on {address}: {why}") from error

    def _port(self, address: TcpAddress) -> str:
        port = address.port
        places = socket.getaddrinfo(address.host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, kind, protocol, _, place in places:
            where = (place[0], port, *place[2:])
            if port:
                _refuse_where_served(family, where)
            held = socket.socket(family, kind, protocol)
            self._ports.append(held)
            held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            held.bind(where)
            # Nobody may listen beside it who does not share the port.
            held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
            port = held.getsockname()[1]
        return str(TcpAddress(address.host, port))

    def _socket(self, address: UnixAddress) -> str:
        lock = SocketLock(address.path)
        lock.acquire()
        self._locks.append(lock)
        held = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._sockets[str(address)] = held
        # Nobody else may connect between binding and chmod either.
        mask = os.umask(0o777 & ~SOCKET_MODE)
        try:
            held.bind(str(address.path))
        finally:
            os.umask(mask)
        address.path.chmod(SOCKET_MODE)
        lock.bound()
        held.setblocking(False)
        held.listen(_BACKLOG)
        return str(address)


def _refuse_where_served(family: int, where: tuple[object, ...]) -> None:
    """Raise OSError where somebody listens: those who share ports would share this one with a stranger."""
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(where)
        probe.listen(1)
