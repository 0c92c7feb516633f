"""`memsvc healthcheck`: ask a running server whether it serves, for engines that have no gRPC probes."""

from __future__ import annotations

import ipaddress
import sys
from typing import Any

import click

from memsvc.cli.parameters import TargetType
from memsvc.cli.settings import configuration, settings_options
from memsvc.config import Config
from memsvc.errors import invalid


@click.command()
@click.option(
    "--target",
    default="",
    type=TargetType(),
    help="unix:///path or host:port. Default: what the settings say is served.",
)
@click.option("--liveness", is_flag=True, help="Only whether the process answers: also while it drains.")
@click.option("--timeout-seconds", type=click.FloatRange(min=0, min_open=True), default=5.0, show_default=True)
@settings_options("listen", "health_listen", "tls_certificate_file")
def healthcheck(config_file: str | None, target: str, liveness: bool, timeout_seconds: float, **flags: Any) -> None:
    """Exit 0 if a running server serves, 1 if not.

    With the same settings as the server: health_listen is asked, where there is none the API's own address. Neither
    asks the database.
    """
    import grpc
    from grpc_health.v1 import health_pb2, health_pb2_grpc

    from memsvc.rpc.health import LIVENESS

    address = target or _served(configuration(config_file, flags)[0])
    options = (("grpc.default_authority", "localhost"), ("grpc.enable_http_proxy", 0))
    with grpc.insecure_channel(address, options=options) as channel:
        request = health_pb2.HealthCheckRequest(service=LIVENESS if liveness else "")
        try:
            reply = health_pb2_grpc.HealthStub(channel).Check(request, timeout=timeout_seconds)
        except grpc.RpcError as error:
            click.echo(f"{address}: {error.code().name}", err=True)
            sys.exit(1)
    if reply.status != health_pb2.HealthCheckResponse.SERVING:
        click.echo(f"{address}: {health_pb2.HealthCheckResponse.ServingStatus.Name(reply.status)}", err=True)
        sys.exit(1)


def _served(config: Config) -> str:
    """Return the address that answers checks without TLS, as this machine reaches it."""
    from memsvc.rpc.addresses import TcpAddress, UnixAddress, parse_address

    texts = [config.health_listen] if config.health_listen else config.listen
    addresses = [parse_address(text, insecure=True) for text in texts]
    for address in sorted(addresses, key=lambda each: not isinstance(each, UnixAddress)):
        if isinstance(address, UnixAddress):
            return str(address)
        if config.health_listen or not config.tls_certificate_file:
            return str(TcpAddress(_reached(address.host), address.port))
    raise invalid("health_listen", "is needed: the API's own addresses speak TLS")


def _reached(host: str) -> str:
    """Return how this machine reaches a server that listens there."""
    try:
        return {"0.0.0.0": "127.0.0.1", "::": "localhost"}[str(ipaddress.ip_address(host))]  # noqa: S104
    except (ValueError, KeyError):
        return host
