"""How a client connects: targets, channel options, retries, and what goes along with every call."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import grpc

from memsvc_client import rpcs
from memsvc_client.arguments import number
from memsvc_client.calls import Call, Pages
from memsvc_client.errors import MemoryServiceError
from memsvc_client.targets import TLS, checked_target, is_local
from memsvc_client.wire import boolean, string

if TYPE_CHECKING:
    from memsvc_client.sidecar import Sidecar

T = TypeVar("T")

ServeOption: TypeAlias = str | int | float | bool
"""A value of a flag of `memsvc serve`; True and False are `--flag` and `--no-flag`."""
TIMEOUT_SECONDS = 10.0
"""The deadline of a call that names none: above the server's own 5 s for its database, below a user's patience."""
CONTEXT_TIMEOUT_SECONDS = 3.0
"""The deadline of `context`: a user waits for the answer that it is for, which can be given without it."""
MAX_MESSAGE_BYTES = 16 * 1024 * 1024
"""Replies end before 3 MiB and requests before 4; larger ones are for the server to refuse."""
RETRY_BUFFER_BYTES = 8 * 1024 * 1024
"""A request that may be sent again is kept; the channel's own 256 KiB is less than a run may have."""
MAX_RECONNECT_SECONDS = 1.0
KEEPALIVE_SECONDS = 60.0


LONGEST_SECONDS = 99_999_999.0
"""Three years: gRPC writes eight digits, and takes a deadline far beyond for one that has passed."""


@dataclass(frozen=True, slots=True)
class Deadlines:
    """How long calls last, whether they look for a server meanwhile, and what becomes of a context that fails."""

    timeout_seconds: float = TIMEOUT_SECONDS
    context_timeout_seconds: float = CONTEXT_TIMEOUT_SECONDS
    context_or_empty: bool = False
    wait_for_ready: bool = False
    """Whether a call looks for a server until its deadline; else it gives up after five attempts."""

    @classmethod
    def of(
        cls,
        timeout_seconds: float,
        context_timeout_seconds: float,
        *,
        context_or_empty: bool,
        wait_for_ready: bool = False,
    ) -> Deadlines:
        """Return these, checked."""
        given = {"timeout_seconds": timeout_seconds, "context_timeout_seconds": context_timeout_seconds}
        for name, value in given.items():
            number(name, value)
            if not value:
                raise ValueError(f"{name} must be more than 0")
        boolean("context_or_empty", context_or_empty)
        boolean("wait_for_ready", wait_for_ready)
        return cls(timeout_seconds, context_timeout_seconds, context_or_empty, wait_for_ready)

    def seconds(self, call: Call[Any]) -> float:
        """Return how long a call lasts."""
        own = self.timeout_seconds if call.without is None else self.context_timeout_seconds
        return min((own if call.timeout is None else call.timeout) + call.extra_seconds, LONGEST_SECONDS)

    def seconds_of_page(self, pages: Pages[Any]) -> float:
        """Return how long it lasts to fetch a page."""
        return min(self.timeout_seconds if pages.timeout is None else pages.timeout, LONGEST_SECONDS)

    def without(self, call: Call[T]) -> Callable[[MemoryServiceError], T] | None:
        """Return what makes the answer of a call without the service; None: its failure is raised."""
        wanted = self.context_or_empty if call.or_empty is None else call.or_empty
        return call.without if wanted else None


def _given(value: str | None, variable: str) -> str | None:
    return os.environ.get(variable) or None if value is None else value


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM files for TLS; None: as the environment says."""

    ca_file: str | os.PathLike[str] | None = None
    """Who signs servers' certificates. None: MEMSVC_CA_FILE, else those that gRPC trusts."""
    certificate_file: str | os.PathLike[str] | None = None
    """The client's own certificate. None: MEMSVC_CLIENT_CERTIFICATE_FILE, else it shows none."""
    key_file: str | os.PathLike[str] | None = None
    """Its key. None: MEMSVC_CLIENT_KEY_FILE."""

    def credentials(self) -> grpc.ChannelCredentials:
        """Return what the files say. Raises ValueError naming what cannot be read."""
        ca = _read("ca_file", self.ca_file, "MEMSVC_CA_FILE")
        certificate = _read("certificate_file", self.certificate_file, "MEMSVC_CLIENT_CERTIFICATE_FILE")
        key = _read("key_file", self.key_file, "MEMSVC_CLIENT_KEY_FILE")
        if (certificate is None) != (key is None):
            raise ValueError("certificate_file and key_file go together: one of them is missing")
        return grpc.ssl_channel_credentials(ca, key, certificate)


NO_FILES = TlsFiles()


def _read(name: str, path: str | os.PathLike[str] | None, variable: str) -> bytes | None:
    chosen = os.environ.get(variable) if path is None else os.fspath(path)
    if not chosen:
        return None
    try:
        with open(chosen, "rb") as file:
            return file.read()
    except OSError as error:
        raise ValueError(f"{name}: cannot read {chosen}: {error.strerror}") from error


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a server is and how to speak to it."""

    target: str
    """`unix:///run/memsvc/memsvc.sock` or `host:port`, as gRPC has it."""
    token: str | None = field(default=None, repr=False)
    credentials: grpc.ChannelCredentials | None = field(default=None, repr=False)
    """For TLS; None: plain text."""
    sidecar: Sidecar | None = None
    """A server of one's own, to be started where it does not run."""

    @classmethod
    def of(
        cls,
        target: str | Sidecar,
        token: str | None,
        credentials: grpc.ChannelCredentials | None,
        files: TlsFiles = NO_FILES,
    ) -> Endpoint:
        """Return the endpoint at an address, or that of a sidecar. What is not given the environment may say."""
        if credentials is not None and not isinstance(credentials, grpc.ChannelCredentials):
            raise TypeError("credentials must be those of grpc.ssl_channel_credentials(...)")
        if isinstance(target, str) or not hasattr(target, "ensure"):
            address = checked_target(target)
            if credentials is None and (address.startswith(TLS) or files != NO_FILES):
                credentials = files.credentials()
            elif credentials is not None and files != NO_FILES:
                raise ValueError("credentials hold the certificates: ca_file and the like are for others")
            return cls(address.removeprefix(TLS), _checked(_given(token, "MEMSVC_TOKEN")), credentials)
        return cls(target.target, _checked(token), credentials, target)

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        """What is sent with each call: the token, and the caller's trace where it uses OpenTelemetry."""
        token = (("authorization", f"Bearer {self.token}"),) if self.token else ()
        # Who has no spans has not imported it, and pays nothing.
        if "opentelemetry.trace" not in sys.modules:
            return token
        from opentelemetry import propagate

        carrier: dict[str, str] = {}
        propagate.inject(carrier)
        return (*token, *((name, value) for name, value in carrier.items() if name in ("traceparent", "tracestate")))

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
        if is_local(self.target):
            # A proxy cannot reach what is local to this machine, whatever the environment says.
            options.append(("grpc.enable_http_proxy", 0))
        if self.target.startswith(("unix:", "unix-abstract:")):
            # The default is the escaped path, which some servers reject.
            options.append(("grpc.default_authority", "localhost"))
        else:
            options.append(("grpc.keepalive_time_ms", int(KEEPALIVE_SECONDS * 1000)))
        return options


def _checked(token: str | None) -> str | None:
    if token is not None and not (string("token", token).isascii() and token.isprintable()):
        raise ValueError("token must be printable ASCII: has it a line's end?")
    return token


def _service_config() -> str:
    """Retry unary calls that nobody answered: each write carries a request id, so a repeat happens once.

    A server of memsvc never answers CANCELLED. It is how gRPC ends calls that a server had not taken yet as it stopped.
    """
    paths = [rpc.path for rpc in vars(rpcs).values() if isinstance(rpc, rpcs.Rpc) and rpc.path not in rpcs.STREAMING]
    names = [path.strip("/").split("/") for path in paths]
    policy = {
        "maxAttempts": 5,
        "initialBackoff": "0.1s",
        "maxBackoff": "1s",
        "backoffMultiplier": 2,
        "retryableStatusCodes": ["UNAVAILABLE", "CANCELLED"],
    }
    methods = [{"service": service, "method": method} for service, method in names]
    return json.dumps({"methodConfig": [{"name": methods, "retryPolicy": policy}]})


SERVICE_CONFIG = _service_config()
