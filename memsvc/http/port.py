"""The operator's port: where it listens, who may call it by which name, how it drains."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import ipaddress
import os
import re
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from typing import Final, Protocol

import msgspec

from memsvc.application import Application
from memsvc.config import Config
from memsvc.errors import invalid
from memsvc.http.connect import JSON, Connect
from memsvc.http.connection import Connection, Exchange, Headers
from memsvc.http.errors import error_body, failed, plain_status
from memsvc.http.page_files import PageFiles
from memsvc.log import Log
from memsvc.rpc.addresses import Address, TcpAddress, UnixAddress, parse_address
from memsvc.rpc.admission import Admission
from memsvc.rpc.listeners import NO_SOCKETS, Edge, missing_protection
from memsvc.rpc.relaying import SocketUsers
from memsvc.rpc.services import Method
from memsvc.rpc.socket_lock import SOCKET_MODE, SocketLock
from memsvc.tls import TlsFiles

log = Log(__name__)

_SWEEP_SECONDS: Final = 0.5
_TEXT: Final = "text/plain; charset=utf-8"
_RECEIVED: Final = 2
"""As with gRPC: requests up to so many times their limit are received, to be refused with a reason."""
_ALWAYS: Final[Headers] = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}
_EVERYWHERE: Final = "::"
"""All addresses of this machine, of IPv4 as well: as gRPC has it."""
_ORIGIN: Final = re.compile(r"[a-z][a-z0-9+.-]*://[^/\s?#@*]+")
_PREFLIGHT_SECONDS: Final = "7200"
_SENT_HEADERS: Final = (
    "Authorization, Connect-Protocol-Version, Connect-Timeout-Ms, Content-Type, Traceparent, Tracestate, X-User-Agent"
)
_READ_HEADERS: Final = "Retry-After, WWW-Authenticate"

Answer = tuple[int, str, bytes]
"""Status, content type and body."""
Page = Callable[[], Answer | Awaitable[Answer]]
"""Answers at once, or once it knows."""
Post = Callable[[Exchange, Headers], Awaitable[None]]
"""Answers what is posted; the headers go along."""


class Served(Protocol):
    """What a port serves as the API: that of this server, or of one elsewhere."""

    @property
    def methods(self) -> Sequence[Method]: ...

    @property
    def admission(self) -> Admission: ...

    @property
    def is_draining(self) -> bool: ...

    @property
    def socket_users(self) -> SocketUsers | None: ...


class Port:
    """A server of HTTP for one address."""

    def __init__(
        self,
        settings: Config,
        edge: Served,
        pages: Mapping[str, Page],
        tls: TlsFiles | None,
        posts: Mapping[str, Post] | None = None,
        secret: str = "",
    ) -> None:
        """`secret`: every path begins with it, and who does not know it is served nothing; empty: there is none."""
        self.max_body_bytes = _RECEIVED * settings.max_request_bytes
        self.address = ""
        """Where it listens; a port that was 0 is the real one."""
        self._edge = edge
        self._tls = tls
        self._api = Connect(edge.methods, edge.admission) if settings.http_api else None
        # The page is of no use without the API.
        self._files = PageFiles() if settings.http_api else None
        self._pages = {"/livez": self._live, "/readyz": self._ready, **pages}
        self._posts = posts or {}
        self._secret = secret
        self._hosts = Hosts(settings.http_hosts)
        self._origins = checked_origins(settings)
        self._max_connections = settings.http_max_connections
        self._is_one_of_several = settings.processes > 1
        self._users: SocketUsers | None = None
        """Who is at the other ends, where that is asked."""
        self._connections: dict[Connection, None] = {}
        """Those that were opened first come first."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._lock: SocketLock | None = None
        self._sweeping: asyncio.TimerHandle | None = None

    @property
    def calls_under_way(self) -> int:
        return len(self._tasks)

    @property
    def busy_connections(self) -> int:
        """Those on which something is asked or answered."""
        return sum(not connection.is_idle for connection in self._connections)

    async def start(self, address: Address, bound: socket.socket | None = None) -> None:
        """Listen; `bound`: the unix socket of this address, that several processes accept from.

        Raises InvalidArgument where that cannot be.
        """
        loop = asyncio.get_running_loop()
        try:
            if bound is not None:
                self._users = self._edge.socket_users
                self._server = await loop.create_unix_server(self._connection, sock=bound)
                self.address = str(address)
            elif isinstance(address, UnixAddress):
                self._users = self._edge.socket_users
                self._lock = SocketLock(address.path)
                self._lock.acquire()
                mask = os.umask(0o777 & ~SOCKET_MODE)
                try:
                    self._server = await loop.create_unix_server(self._connection, str(address.path))
                finally:
                    os.umask(mask)
                address.path.chmod(SOCKET_MODE)
                self._lock.bound()
                self.address = str(address)
            else:
                self._hosts.add(address.host)
                self._server = await self._serving(address)
                self.address = str(TcpAddress(address.host, self._server.sockets[0].getsockname()[1]))
        except OSError as error:
            self._release()
            raise invalid("http_listen", f"cannot listen on {address}: {os.strerror(error.errno or 0)}") from error
        self._sweep()

    async def _serving(self, address: TcpAddress) -> asyncio.Server:
        loop = asyncio.get_running_loop()
        tls = None if self._tls is None else self._tls.context()
        if address.host == _EVERYWHERE and socket.has_dualstack_ipv6():
            # A socket that the loop makes for it takes IPv6 alone.
            both = socket.create_server(
                (address.host, address.port),
                family=socket.AF_INET6,
                backlog=self._max_connections,
                reuse_port=self._is_one_of_several,
                dualstack_ipv6=True,
            )
            return await loop.create_server(self._connection, sock=both, ssl=tls, backlog=self._max_connections)
        return await loop.create_server(
            self._connection,
            address.host,
            address.port,
            ssl=tls,
            backlog=self._max_connections,
            reuse_port=self._is_one_of_several,
        )

    async def drain(self, seconds: float) -> None:
        """Let calls under way have so long to end, then cut them off, and close."""
        for connection in list(self._connections):
            connection.close_when_idle()
        if self._tasks:
            await asyncio.wait(set(self._tasks), timeout=seconds)
        if self._server is not None:
            self._server.close()
        if self._sweeping is not None:
            self._sweeping.cancel()
        for task in set(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for connection in list(self._connections):
            connection.close()
        # A turn of the loop for what was written last.
        await asyncio.sleep(0)
        for connection in list(self._connections):
            connection.transport.abort()
        self._release()

    def _release(self) -> None:
        if self._lock is not None:
            self._lock.release()

    def _connection(self) -> Connection:
        return Connection(self, self._opened, self._connections_pop)

    def _opened(self, connection: Connection) -> bool:
        if self._users is not None:
            connection.peer = self._users.enter(connection.transport)
        if len(self._connections) >= self._max_connections:
            idle = next((each for each in self._connections if each.is_idle), None)
            if idle is None:
                self._connections[connection] = None
                return False
            idle.close()
            self._connections.pop(idle, None)
        self._connections[connection] = None
        return True

    def _connections_pop(self, connection: Connection) -> None:
        self._connections.pop(connection, None)
        if self._users is not None:
            self._users.leave(connection.peer)

    def _sweep(self) -> None:
        if self._tls is not None:
            self._tls.refresh()
        loop = asyncio.get_running_loop()
        now = loop.time()
        for connection in [each for each in self._connections if each.deadline is not None and each.deadline < now]:
            connection.overdue()
        self._sweeping = loop.call_later(_SWEEP_SECONDS, self._sweep)

    def bad_request(self, status: int, message: str) -> tuple[Headers, bytes]:
        return {"Content-Type": JSON, **_ALWAYS}, error_body(plain_status(status, message))

    def answer(self, exchange: Exchange) -> asyncio.Task[None] | None:
        head = exchange.head
        host = head.headers.get("host", "")
        if not self._hosts.has(host):
            self._refuse(exchange, 421, "this server is not called so: see http_hosts")
            return None
        if self._secret:
            given, slash, rest = head.path[1:].partition("/")
            if not hmac.compare_digest(given.encode(), self._secret.encode()):
                self._refuse(exchange, 403, "open the whole address, as it was printed: it begins with a secret")
                return None
            head = exchange.head = msgspec.structs.replace(head, path=slash + rest)
        origin = head.headers.get("origin")
        headers: Headers = _ALWAYS
        if origin is not None and not self._is_same_origin(origin, host):
            if origin not in self._origins and "*" not in self._origins:
                self._refuse(exchange, 403, "pages of this origin may not call: see http_origins")
                return None
            headers = {
                **_ALWAYS,
                "Access-Control-Allow-Origin": origin,
                "Access-Control-Expose-Headers": _READ_HEADERS,
                "Vary": "Origin",
            }
        if self._api is not None and self._api.has(head.path):
            if head.method == "OPTIONS":
                self._preflight(exchange, headers)
                return None
            return self._kept(self._api.answer(exchange, headers))
        post = self._posts.get(head.path)
        if post is not None and head.method == "POST":
            return self._kept(asyncio.get_running_loop().create_task(_told(exchange, post(exchange, headers))))
        return self._page(exchange, headers)

    def _page(self, exchange: Exchange, headers: Headers) -> asyncio.Task[None] | None:
        head = exchange.head
        page = self._pages.get(head.path)
        is_file = page is None and self._files is not None and self._files.has(head.path)
        if page is None and not is_file:
            self._refuse(exchange, 404, "there is nothing here")
        elif head.method not in ("GET", "HEAD"):
            self._refuse(exchange, 405, "GET it", {"Allow": "GET, HEAD"})
        elif page is not None:
            answer = page()
            if isinstance(answer, tuple):
                _respond(exchange, headers, answer)
            else:
                answering = _answered(answer, exchange, headers)
                return self._kept(asyncio.get_running_loop().create_task(_told(exchange, answering)))
        elif self._files is not None and not self._files.answer(exchange):
            self._refuse(exchange, 404, "there is nothing here")
        return None

    def _kept(self, task: asyncio.Task[None] | None) -> asyncio.Task[None] | None:
        if task is not None:
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return task

    def _preflight(self, exchange: Exchange, headers: Headers) -> None:
        more = {
            "Allow": "GET, POST, OPTIONS",
            "Access-Control-Allow-Methods": "GET, POST",
            "Access-Control-Allow-Headers": _SENT_HEADERS,
            "Access-Control-Max-Age": _PREFLIGHT_SECONDS,
        }
        exchange.respond(204, {**headers, **more} if "Vary" in headers else {**headers, "Allow": more["Allow"]}, b"")

    def _refuse(self, exchange: Exchange, status: int, message: str, more: Headers | None = None) -> None:
        headers, body = self.bad_request(status, message)
        exchange.respond(status, {**headers, **(more or {})}, body)

    def _is_same_origin(self, origin: str, host: str) -> bool:
        return origin.partition("://")[2] == host

    def _live(self) -> Answer:
        return 200, _TEXT, b"ok\n"

    def _ready(self) -> Answer:
        # Never asks the database: an agent is not cut off from what is in RAM because a database is slow.
        return (503, _TEXT, b"draining\n") if self._edge.is_draining else (200, _TEXT, b"ok\n")


def checked_origins(settings: Config) -> Collection[str]:
    """Return whose pages may call. Raises InvalidArgument for what no browser says: it would let nobody in."""
    for origin in settings.http_origins:
        if origin != "null" and not _ORIGIN.fullmatch(origin):
            raise invalid("http_origins", f"{origin!r} is no origin: https://console.example.com, without a path")
    return frozenset(settings.http_origins)


def checked_address(application: Application) -> Address:
    """Return where HTTP is served. Raises InvalidArgument where it may not be."""
    settings = application.settings
    lacks = _lacks(application)
    return parse_address(settings.http_listen, insecure=settings.insecure, setting="http_listen", lacks=lacks)


def _lacks(application: Application) -> str:
    # Without the API there is nothing to protect: health and metrics hold nothing of anybody.
    return missing_protection(application) if application.settings.http_api else ""


def _respond(exchange: Exchange, headers: Headers, answer: Answer) -> None:
    status, content_type, body = answer
    exchange.respond(status, {"Content-Type": content_type, **headers}, body)


async def _answered(answer: Awaitable[Answer], exchange: Exchange, headers: Headers) -> None:
    _respond(exchange, headers, await answer)


async def _told(exchange: Exchange, answering: Awaitable[None]) -> None:
    """Answer; where that fails the client is told, instead of waiting for what does not come."""
    try:
        await answering
    except Exception as error:
        log.error("call_failed", error, method=exchange.head.path)
        exchange.respond(500, {"Content-Type": JSON, **_ALWAYS}, error_body(failed().status))


class Hosts:
    """The names by which a server may be called.

    A page of another site can let its own name point to this machine, and then read what is answered to that name. It
    cannot do so with an address, nor with names that are not its own.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._any = "*" in names
        self._names = {"localhost", *(name.lower().rstrip(".") for name in names)}

    def add(self, name: str) -> None:
        self._names.add(name.lower())

    def has(self, host: str) -> bool:
        """Whether the header Host, which may have a port, names this server."""
        if self._any or host in self._names:
            return True
        name = host.lower()
        if name.startswith("["):
            name = name[1:].partition("]")[0]
        elif name.count(":") == 1:
            name = name.partition(":")[0]
        if not name or name.rstrip(".") in self._names:
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True


@contextlib.asynccontextmanager
async def serving_http(
    application: Application,
    edge: Edge,
    pages: Mapping[str, Page],
    sockets: Mapping[str, socket.socket] = NO_SOCKETS,
) -> AsyncIterator[Port]:
    """Serve HTTP beside gRPC, with the same calls under way; on leaving stop at once, unless it was drained before.

    `sockets`: unix sockets that are bound already, by their addresses.
    """
    settings = application.settings
    lacks, address = _lacks(application), checked_address(application)
    if lacks and isinstance(address, TcpAddress) and not address.is_loopback:
        log.warning("insecure", address=str(address), lacks=lacks)
    port = Port(settings, edge, pages, application.tls)
    try:
        await port.start(address, sockets.get(str(address)))
        yield port
    finally:
        await port.drain(0.0)
