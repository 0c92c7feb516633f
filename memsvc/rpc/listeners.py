"""The gRPC servers of a process: where they listen, and how they start, drain and stop."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

import grpc

from memsvc.application import Application
from memsvc.errors import invalid
from memsvc.foreground import Foreground
from memsvc.log import Log
from memsvc.rpc.addresses import Address, TcpAddress, UnixAddress, parse_address
from memsvc.rpc.admission import Admission
from memsvc.rpc.credentials import credentials_by
from memsvc.rpc.draining import Draining
from memsvc.rpc.health import NAME as HEALTH_SERVICE
from memsvc.rpc.health import Health
from memsvc.rpc.interceptors import draining, errors
from memsvc.rpc.reflection import reflection_handlers
from memsvc.rpc.relaying import Relay, SocketUsers
from memsvc.rpc.services import SERVICES, handlers, methods
from memsvc.rpc.socket_lock import SOCKET_MODE, SocketLock
from memsvc.rpc.taking import new_server, serve_methods
from memsvc.rpc.tls import server_credentials
from memsvc.tls import TlsFiles

log = Log(__name__)

MAX_REPLY_BYTES: Final = 4 << 20
"""What a client accepts by default; replies end at 3 MiB."""

_RECEIVED: Final = 2
"""Requests up to so many times their limit are received, to be refused with a reason."""
_PROBE_BYTES: Final = 64 << 10
_PROBE_SECONDS: Final = 10.0
_MAX_PENDING: Final = 16_000
_HANDSHAKE_MILLISECONDS: Final = 5_000
_BOUNDED: Final[Sequence[tuple[str, int]]] = (
    # Nobody asks for a message before there is room for it, and until then a client may send so much of it and no more:
    # with the window that gRPC adapts to the connection it would be megabytes.
    ("grpc.http2.bdp_probe", 0),
    ("grpc.http2.lookahead_bytes", 32 << 10),
    # Above these gRPC cancels calls, anybody's and without a reason; the edge refuses them with one.
    ("grpc.server.max_pending_requests", _MAX_PENDING),
    ("grpc.server.max_pending_requests_hard_limit", _MAX_PENDING),
    # Whoever connects and says nothing holds a descriptor for so long, and a drain: by default two minutes.
    ("grpc.server_handshake_timeout_ms", _HANDSHAKE_MILLISECONDS),
)
_KEEPALIVE: Final[Sequence[tuple[str, int]]] = (
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.http2.min_ping_interval_without_data_ms", 20_000),
    ("grpc.keepalive_permit_without_calls", 1),
)


_OF_SEVERAL: Final[Sequence[tuple[str, int]]] = (
    ("grpc.so_reuseport", 1),
    # A process that takes the place of one that ended has no connections: clients are asked to connect anew now and
    # then, and calls under way are finished where they are.
    ("grpc.max_connection_age_ms", 300_000),
)
"""A port that several processes serve."""
NO_SOCKETS: Final[Mapping[str, socket.socket]] = MappingProxyType({})


@contextlib.asynccontextmanager
async def serving(
    application: Application,
    listen: Sequence[str],
    *,
    insecure: bool = False,
    health_listen: str = "",
    sockets: Mapping[str, socket.socket] = NO_SOCKETS,
) -> AsyncIterator[Edge]:
    """Serve the application on these addresses; on leaving stop at once, unless it was drained before.

    `sockets`: unix sockets that are bound already, by their addresses.
    Raises InvalidArgument for an address that cannot, or may not, be served.
    """
    lacks = missing_protection(application)
    addresses = [parse_address(text, insecure=insecure, lacks=lacks) for text in listen]
    edge = Edge(application, addresses, sockets)
    for address in addresses:
        if lacks and isinstance(address, TcpAddress) and not address.is_loopback:
            log.warning("insecure", address=str(address), lacks=lacks)
    if health_listen:
        # Probes come from other machines, speak no TLS and learn nothing.
        edge.add_health_server(parse_address(health_listen, insecure=True, setting="health_listen"))
    try:
        await edge.start()
        yield edge
    finally:
        await edge.drain(0.0)


def missing_protection(application: Application) -> str:
    """Return what a TCP address lacks to be reached by other machines, in words; empty: nothing."""
    lacks = []
    if application.tls is None:
        lacks.append("TLS (tls_certificate_file, tls_key_file)")
    if application.gate is None and (application.tls is None or not application.tls.asks_clients):
        lacks.append("to know who calls (tokens_file, or tls_client_ca_file)")
    return " and ".join(lacks)


class Edge:
    """The servers: one for the API, and if wanted one for probes alone."""

    def __init__(
        self,
        application: Application,
        addresses: Sequence[Address],
        sockets: Mapping[str, socket.socket] = NO_SOCKETS,
    ) -> None:
        self._sockets = sockets
        self._draining = Draining()
        self._health = Health(service.full_name for service in SERVICES)
        self._locks: list[SocketLock] = []
        tells_users_apart = application.settings.socket_users and application.gate is not None
        self.socket_users = SocketUsers() if tells_users_apart else None
        """Who is at the ends of unix sockets; None: that is not asked."""
        self._relays: list[tuple[Relay, UnixAddress, SocketLock | None]] = []
        """Those of unix sockets, where their users are told apart or several processes accept from them."""
        over_tcp = any(isinstance(address, TcpAddress) for address in addresses)
        settings = application.settings
        self._is_one_of_several = settings.processes > 1
        self._server = _new_server(settings.max_request_bytes, over_tcp=over_tcp, of_several=self._is_one_of_several)
        self._health_server: grpc.aio.Server | None = None
        self.addresses: list[str] = []
        """Where the API is served; ports that were 0 are the real ones."""
        self.health_addresses: list[str] = []
        admitting = Admission(
            application.foreground,
            max_calls=settings.max_calls,
            max_bytes=settings.max_bytes_in_flight,
            largest_bytes=_RECEIVED * settings.max_request_bytes,
            slowest_seconds=settings.default_deadline_seconds,
        )
        self.admission = admitting
        credentials_of = credentials_by(
            self.socket_users,
            certificates=application.tls is not None and application.tls.asks_clients,
        )
        self.methods = methods(application, self._draining, admitting, credentials_of)
        """What this server serves, and others may too: all of them together take on what one would."""
        names = [*(service.full_name for service in SERVICES), HEALTH_SERVICE]
        reflecting = reflection_handlers(names, admitting, (errors, draining(self._draining)))
        serve_methods(self._server, {**handlers(self.methods), **self._health.handlers(admitting), **reflecting})
        try:
            self.addresses.extend(self._bind(self._server, address, application.tls) for address in addresses)
        except BaseException:
            self._release()
            raise

    def add_health_server(self, address: Address) -> None:
        """Also answer health checks on an address of their own."""
        try:
            self._health_server = _new_health_server(self._health, of_several=self._is_one_of_several)
            self.health_addresses.append(self._bind(self._health_server, address))
        except BaseException:
            self._release()
            raise

    def _bind(self, server: grpc.aio.Server, address: Address, tls: TlsFiles | None = None) -> str:
        """Bind a server to an address, and return it as it was bound. Sockets need no TLS."""
        if isinstance(address, UnixAddress):
            bound = self._sockets.get(str(address))
            if bound is not None:
                self._relay(server, address, Relay(self.socket_users or SocketUsers(), address.path, bound))
                return str(address)
            lock = SocketLock(address.path)
            lock.acquire()
            self._locks.append(lock)
            if self.socket_users is not None:
                self._relay(server, address, Relay(self.socket_users, address.path), lock)
                return str(address)
            # Nobody else may connect between binding and chmod either.
            mask = os.umask(0o777 & ~SOCKET_MODE)
            try:
                _add_port(server, address, None)
            finally:
                os.umask(mask)
            address.path.chmod(SOCKET_MODE)
            lock.bound()
            return str(address)
        # Each port has credentials of its own: gRPC asks for what changed once for each of them.
        credentials = None if tls is None else server_credentials(tls)
        return str(TcpAddress(address.host, _add_port(server, address, credentials)))

    def _relay(
        self, server: grpc.aio.Server, address: UnixAddress, relay: Relay, lock: SocketLock | None = None
    ) -> None:
        self._relays.append((relay, address, lock))
        _add_port(server, UnixAddress(relay.inner), None)

    @property
    def is_draining(self) -> bool:
        """Whether no further calls are taken."""
        return self._draining.started

    @property
    def all_addresses(self) -> list[str]:
        """Where anything is served."""
        return [*self.addresses, *self.health_addresses]

    def start_draining(self) -> None:
        """Take no further calls; streams end with SERVER_DRAINING."""
        self._health.drain()
        self._draining.start()

    async def start(self) -> None:
        """Begin to serve."""
        await self._server.start()
        for relay, address, lock in self._relays:
            try:
                await relay.start(address.path, SOCKET_MODE)
            except OSError as error:
                raise invalid("listen", f"cannot listen on {address}: {error.strerror}") from error
            if lock is not None:
                lock.bound()
        if self._health_server is not None:
            await self._health_server.start()

    async def ended(self) -> None:
        """Return once the API's server has ended, be it by itself: an error in its loop ends it.

        MUST NOT be cancelled before: gRPC's own end would be.
        """
        with contextlib.suppress(Exception):
            await self._server.wait_for_termination()

    async def drain(self, seconds: float) -> None:
        """Stop: no new calls, streams end with SERVER_DRAINING, other calls have so long to end. May be repeated."""
        self.start_draining()
        for relay, *_ in self._relays:
            relay.stop()
        await self._server.stop(seconds)
        if self._health_server is not None:
            await self._health_server.stop(0.0)
        self._release()

    def _release(self) -> None:
        for relay, *_ in self._relays:
            relay.close()
        for lock in self._locks:
            lock.release()


@contextlib.asynccontextmanager
async def answering_probes(health_listen: str, *, of_several: bool) -> AsyncIterator[None]:
    """Answer health checks, while there is nothing else to serve yet. Sockets are left to the server that follows.

    `of_several`: other processes may serve the same port.
    """
    address = parse_address(health_listen, insecure=True, setting="health_listen") if health_listen else None
    if not isinstance(address, TcpAddress):
        yield
        return
    server = _new_health_server(Health(service.full_name for service in SERVICES), of_several=of_several)
    _add_port(server, address, None)
    await server.start()
    try:
        yield
    finally:
        await server.stop(0.0)


def _new_health_server(health: Health, *, of_several: bool) -> grpc.aio.Server:
    server = _new_server(_PROBE_BYTES, over_tcp=True, of_several=of_several)
    serve_methods(server, health.handlers(_few_probes()))
    return server


def _few_probes() -> Admission:
    """Return what the server for probes takes on: it serves nothing else, and keeps the API's room for the API."""
    return Admission(
        Foreground(),
        max_calls=1_000,
        max_bytes=1 << 20,
        largest_bytes=_RECEIVED * _PROBE_BYTES,
        slowest_seconds=_PROBE_SECONDS,
    )


def _new_server(max_request_bytes: int, *, over_tcp: bool, of_several: bool) -> grpc.aio.Server:
    options: list[tuple[str, Any]] = [
        *(_OF_SEVERAL if of_several else [("grpc.so_reuseport", 0)]),
        # What gRPC refuses itself, it refuses without a reason.
        ("grpc.max_receive_message_length", _RECEIVED * max_request_bytes),
        ("grpc.max_send_message_length", MAX_REPLY_BYTES),
        *_BOUNDED,
    ]
    if over_tcp:
        options.extend(_KEEPALIVE)
    return new_server(options)


def _add_port(server: grpc.aio.Server, address: Address, credentials: grpc.ServerCredentials | None) -> int:
    try:
        if credentials is None:
            return server.add_insecure_port(str(address))
        return server.add_secure_port(str(address), credentials)
    except RuntimeError as error:
        raise invalid("listen", f"cannot listen on {address}: {_why_not(address)}") from error


def _why_not(address: Address) -> str:
    """Return what hinders from binding an address that gRPC could not bind: gRPC does not say."""
    if isinstance(address, UnixAddress):
        return "its folder cannot be written"
    try:
        places = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, kind, protocol, _, place in places:
            with socket.socket(family, kind, protocol) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(place)
    except socket.gaierror:
        return "there is no such host"
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            return "the port is taken: another process listens there"
        if error.errno == errno.EADDRNOTAVAIL:
            return "the address is not of this machine"
        return str(error.strerror)
    return "it was taken for a moment: try again"
