"""How a client connects: targets, channel options, retries, and what goes along with every call."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import grpc

from memsvc_client import rpcs

if TYPE_CHECKING:
    from memsvc_client.sidecar import Sidecar

ServeOption: TypeAlias = str | int | float | bool
"""A value of a flag of `memsvc serve`; True and False are `--flag` and `--no-flag`."""
TIMEOUT_SECONDS = 10.0
"""The deadline of a call that names none: above the server's own 5 s for its database, below a user's patience."""
MAX_MESSAGE_BYTES = 16 * 1024 * 1024
"""Replies end before 3 MiB and requests before 4; larger ones are for the server to refuse."""
RETRY_BUFFER_BYTES = 8 * 1024 * 1024
"""A request that may be sent again is kept; the channel's own 256 KiB is less than a run may have."""
MAX_RECONNECT_SECONDS = 1.0
KEEPALIVE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a server is and how to speak to it."""

    target: str
    """`unix:///run/memsvc/memsvc.sock` or `host:port`."""
    token: str | None = field(default=None, repr=False)
    credentials: grpc.ChannelCredentials | None = field(default=None, repr=False)
    """For TLS; None: plain text."""
    sidecar: Sidecar | None = None
    """A server of one's own, to be started where it does not run."""

    @classmethod
    def of(cls, target: str | Sidecar, token: str | None, credentials: grpc.ChannelCredentials | None) -> Endpoint:
        """Return the endpoint at an address, or that of a sidecar."""
        if isinstance(target, str):
            return cls(target, token, credentials)
        return cls(target.target, token, credentials, target)

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        return (("authorization", f"Bearer {self.token}"),) if self.token else ()

    @property
    def options(self) -> list[tuple[str, Any]]:
        """The channel's options."""
        options: list[tuple[str, Any]] = [
            ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
            ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
            ("grpc.max_reconnect_backoff_ms", int(MAX_RECONNECT_SECONDS * 1000)),
            ("grpc.enable_retries", 1),
            ("grpc.per_rpc_retry_buffer_size", RETRY_BUFFER_BYTES),
            ("grpc.service_config", SERVICE_CONFIG),
        ]
        if self.target.startswith(("unix:", "unix-abstract:")):
            # The default is the escaped path, which some servers reject.
            options.append(("grpc.default_authority", "localhost"))
        else:
            options.append(("grpc.keepalive_time_ms", int(KEEPALIVE_SECONDS * 1000)))
        return options


def _service_config() -> str:
    """Retry unary calls on UNAVAILABLE only: each write carries a request id, so a repeat happens once."""
    paths = [rpc.path for rpc in vars(rpcs).values() if isinstance(rpc, rpcs.Rpc) and rpc.path not in rpcs.STREAMING]
    names = [path.strip("/").split("/") for path in paths]
    policy = {
        "maxAttempts": 5,
        "initialBackoff": "0.1s",
        "maxBackoff": "1s",
        "backoffMultiplier": 2,
        "retryableStatusCodes": ["UNAVAILABLE"],
    }
    methods = [{"service": service, "method": method} for service, method in names]
    return json.dumps({"methodConfig": [{"name": methods, "retryPolicy": policy}]})


SERVICE_CONFIG = _service_config()
