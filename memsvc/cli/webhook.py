"""`memsvc webhook`: an admission webhook of Kubernetes that gives pods their sidecar."""

from __future__ import annotations

import signal
import socket
import sys
import threading
from collections.abc import Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

import click

from memsvc.cli.settings import configuration, settings_options
from memsvc.errors import Error, invalid
from memsvc.log import Log, start_logging
from memsvc.tls import TlsFiles

log = Log(__name__)

_MAX_BYTES: Final = 8 << 20
"""The API server's own limit for an object is 3 MiB."""
_SECONDS: Final = 10.0


@click.command()
@click.option("--listen", default="[::]:8443", show_default=True, help="Where the API server asks: host:port.")
@click.option("--values", default="", metavar="FILE", help="Values of helm/memsvc-sidecar, in YAML, for every pod.")
@settings_options("tls_certificate_file", "tls_key_file", "log_format", "log_level")
def webhook(config_file: str | None, listen: str, values: str, **flags: Any) -> None:
    """Answer POST /mutate with what gives a pod its sidecar, in TLS, until SIGTERM. See helm/memsvc-injector.

    It is the same as `memsvc inject` does, with the same annotations. A pod that has a container named memsvc already
    is let in as it is. GET /readyz answers probes.
    """
    from memsvc.cli.inject import read_values
    from memsvc.kubernetes.sidecar import sidecar_of
    from memsvc.rpc.addresses import TcpAddress, parse_address

    config, _ = configuration(config_file, flags)
    if not config.tls_certificate_file:
        raise invalid("tls_certificate_file", "is needed: the API server speaks TLS alone")
    address = parse_address(listen, insecure=True)
    if not isinstance(address, TcpAddress):
        raise invalid("listen", "must be host:port")
    found = read_values(values)
    sidecar_of(found)
    start_logging(config.log_level, config.log_format)
    files = TlsFiles(config.tls_certificate_file, config.tls_key_file)
    with Webhook(address.host, address.port, files, found) as server:
        # Shutting down waits for the loop, which runs in this thread.
        signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
        log.info("serving", addresses=f"https://{address.host}:{server.server_address[1]}")
        server.serve_forever()
    log.info("stopped")


class Webhook(ThreadingHTTPServer):
    """A thread for each connection: reviews are few, and take a millisecond."""

    daemon_threads = True

    def __init__(self, host: str, port: int, files: TlsFiles, values: Mapping[str, Any]) -> None:
        """Raise InvalidArgument where nobody can listen there."""
        self.values = values
        self._files = files
        self._context = files.context()
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            super().__init__((host, port), _Handler)
        except OSError as error:
            raise invalid("listen", f"cannot listen on {host}:{port}: {error.strerror}") from error

    def server_bind(self) -> None:
        if self.address_family == socket.AF_INET6:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        super().server_bind()

    def finish_request(self, request: Any, client_address: Any) -> None:
        # In the connection's own thread: one that says nothing holds up nobody.
        self._files.refresh()
        request.settimeout(_SECONDS)
        with self._context.wrap_socket(request, server_side=True) as secured:
            super().finish_request(secured, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        log.info("connection_failed", because=type(sys.exception()).__name__)


class _Handler(BaseHTTPRequestHandler):
    server: Webhook
    protocol_version = "HTTP/1.1"
    timeout = _SECONDS

    def do_GET(self) -> None:
        self._answer(HTTPStatus.OK if self.path == "/readyz" else HTTPStatus.NOT_FOUND, b"")

    def do_POST(self) -> None:
        from memsvc.kubernetes.review import answered

        size = self.headers.get("Content-Length", "")
        if not size.isascii() or not size.isdigit():
            self._refuse(HTTPStatus.LENGTH_REQUIRED)
            return
        if int(size) > _MAX_BYTES:
            self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
            return
        # Also what is refused is read: a connection that is closed before loses its answer.
        body = self.rfile.read(int(size))
        if self.path.partition("?")[0] != "/mutate":
            self._answer(HTTPStatus.NOT_FOUND, b"")
            return
        try:
            reply = answered(body, self.server.values)
        except Error as error:
            self._answer(HTTPStatus.BAD_REQUEST, error.message.encode())
        else:
            self._answer(HTTPStatus.OK, reply)

    def _refuse(self, status: HTTPStatus) -> None:
        # The body was not read: no next request can be found behind it.
        self.close_connection = True
        self._answer(status, b"")

    def _answer(self, status: HTTPStatus, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json" if body.startswith(b"{") else "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        return
