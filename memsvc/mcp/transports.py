"""How hosts reach the server: over stdin and stdout, or over HTTP at `/mcp`."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from typing import Any, Final

import uvicorn
from mcp.server.auth.middleware.bearer_auth import BearerAuthBackend, RequireAuthMiddleware
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server
from mcp.server.transport_security import TransportSecuritySettings
from msgspec import Struct
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from memsvc.errors import invalid
from memsvc.log import Log
from memsvc.mcp.unreadable import Readable
from memsvc.mcp.whose import Tokens
from memsvc.rpc.addresses import TcpAddress

log = Log(__name__)

PATH: Final = "/mcp"
_BODY_BYTES: Final = 1 << 20
_GRACE_SECONDS: Final = 5
_LOOPBACK: Final = ("127.0.0.1", "localhost", "[::1]")


async def over_stdio(server: Server[Any]) -> None:
    """Serve one host until it closes stdin."""
    async with stdio_server() as (reading, writing):
        await server.run(Readable(reading, writing), writing, server.create_initialization_options())


class HTTPListener(Struct, frozen=True, kw_only=True):
    """Where and how to listen."""

    address: TcpAddress
    tokens: Tokens | None
    """None: nobody is asked who they are."""
    certificate_file: str = ""
    key_file: str = ""
    hosts: Sequence[str] = ()
    """Names that requests may be addressed to, besides those of the loopback."""


async def over_http(server: Server[Any], listener: HTTPListener) -> None:
    """Serve hosts until SIGTERM or SIGINT."""
    address = listener.address
    app: ASGIApp = server.streamable_http_app(
        streamable_http_path=PATH,
        # Nothing is kept between requests, so any replica answers any of them.
        stateless_http=True,
        max_request_body_size=_BODY_BYTES,
        transport_security=_addressed_to(listener),
    )
    if listener.tokens is not None:
        app = _asking(app, listener.tokens)
    with _bound(address) as listening:
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=_GRACE_SECONDS,
            ssl_certfile=listener.certificate_file or None,
            ssl_keyfile=listener.key_file or None,
        )
        await _Uvicorn(
            config, f"{'https' if listener.certificate_file else 'http'}://{_shown(address, listening)}{PATH}"
        ).serve([listening])


class _Uvicorn(uvicorn.Server):
    """Says where it listens once it does."""

    def __init__(self, config: uvicorn.Config, url: str) -> None:
        super().__init__(config)
        self._url = url

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        log.info("mcp_listening", url=self._url)


def _addressed_to(listener: HTTPListener) -> TransportSecuritySettings | None:
    """Return which Host and Origin are taken: a web page of elsewhere must not reach the loopback by a name of its own.

    Where tokens are asked for on other addresses, a page has none to bring.
    """
    if not listener.address.is_loopback and not listener.hosts:
        return TransportSecuritySettings(enable_dns_rebinding_protection=False)
    names = (*_LOOPBACK, *listener.hosts)
    origins = [f"{scheme}://{name}" for scheme in ("http", "https") for name in names]
    return TransportSecuritySettings(
        allowed_hosts=[form for name in names for form in (name, f"{name}:*")],
        allowed_origins=[form for origin in origins for form in (origin, f"{origin}:*")],
    )


def _asking(app: ASGIApp, tokens: Tokens) -> ASGIApp:
    """Return the application for those whose token is known."""
    asked = AuthenticationMiddleware(RequireAuthMiddleware(app, []), backend=BearerAuthBackend(tokens))

    async def asking(scope: Scope, receive: Receive, send: Send) -> None:
        await (asked if scope["type"] == "http" else app)(scope, receive, send)

    return asking


def _bound(address: TcpAddress) -> socket.socket:
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((address.host, address.port))
        listening.listen(128)
    except OSError as error:
        listening.close()
        raise invalid("listen", f"cannot listen on {address}: {error.strerror}") from error
    return listening


def _shown(address: TcpAddress, listening: socket.socket) -> TcpAddress:
    return TcpAddress(address.host, listening.getsockname()[1])
