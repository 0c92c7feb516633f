"""What both clients are made of: handles, and methods made from the functions that build calls."""

from __future__ import annotations

import functools
import inspect
import os
from abc import abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Concatenate, Generic, ParamSpec, Self, TypeVar

import grpc

from memsvc_client.arguments import argument_checks
from memsvc_client.calls import Subject
from memsvc_client.channel import CONTEXT_TIMEOUT_SECONDS, TIMEOUT_SECONDS, Deadlines, Endpoint, ServeOption, TlsFiles
from memsvc_client.wire import string

if TYPE_CHECKING:
    from memsvc_client.sidecar import Sidecar

P = ParamSpec("P")
C = TypeVar("C")
U = TypeVar("U")
Asked = TypeVar("Asked")
Answer = TypeVar("Answer")


class Handle(Generic[C]):
    """A part of a client: what its methods speak about, and the connection that all of them share."""

    def __init__(self, connection: C, subject: Subject) -> None:
        self._connection = connection
        self._subject = subject

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._subject})"


def method(
    build: Callable[Concatenate[Subject, P], Asked], carry_out: Callable[[C, Asked], Answer]
) -> Callable[Concatenate[Handle[C], P], Answer]:
    """Return the method with the arguments of `build`; it answers what `carry_out` makes of what was built.

    Wrong arguments are raised when it is called, also where the answer is an iterator that sends nothing yet.
    """

    positional, checks = argument_checks(build)

    def sending(self: Handle[C], /, *args: P.args, **kwargs: P.kwargs) -> Answer:
        for name, value in (*zip(positional, args, strict=False), *kwargs.items()):
            if name in checks:
                checks[name](name, value)
        return carry_out(self._connection, build(self._subject, *args, **kwargs))

    functools.update_wrapper(sending, build, assigned=("__module__", "__name__", "__qualname__", "__doc__"))
    subject, *parameters = inspect.signature(build).parameters.values()
    signature = inspect.Signature(
        [subject.replace(name="self", annotation=inspect.Parameter.empty), *parameters],
        return_annotation=_answer(str(build.__annotations__["return"]), carry_out.__qualname__),
    )
    vars(sending).update(__signature__=signature)
    vars(sending).pop("__wrapped__")
    return sending


def _answer(asked: str, carried_out_by: str) -> str:
    """Return what a method answers, as its signature says: `Call[Memory]` is a `Memory`."""
    connection, _, way = carried_out_by.partition(".")
    inner = asked.partition("[")[2][:-1]
    is_async = connection.startswith("Async")
    match way:
        case "observe":
            return "AsyncConversation" if is_async else "Conversation"
        case "pages":
            return f"AsyncListing[{inner}]" if is_async else f"Listing[{inner}]"
        case "stream":
            return f"AsyncIterator[{inner}]" if is_async else f"Iterator[{inner}]"
        case _:
            return f"Awaitable[{inner}]" if is_async else inner


class Client(Handle[C], Generic[C, U]):
    """How either client is made, and how it names users."""

    def __init__(
        self,
        target: str | Sidecar,
        *,
        namespace: str = "",
        default_user: str | None = None,
        timeout_seconds: float = TIMEOUT_SECONDS,
        token: str | None = None,
        credentials: grpc.ChannelCredentials | None = None,
        context_timeout_seconds: float = CONTEXT_TIMEOUT_SECONDS,
        context_or_empty: bool = False,
        wait_for_ready: bool = False,
        ca_file: str | os.PathLike[str] | None = None,
        certificate_file: str | os.PathLike[str] | None = None,
        key_file: str | os.PathLike[str] | None = None,
    ) -> None:
        """Connect to `target`: `unix:///path`, `host:port`, or `tls://host:port` where the server speaks TLS.

        `default_user` is who `user()` means when it names nobody. A call ends after `timeout_seconds` unless it names
        its own `timeout`.

        `token` is sent with every call; without one, what MEMSVC_TOKEN holds is. For TLS, `ca_file` says who signs the
        server's certificate, `certificate_file` and `key_file` are the client's own: PEM files, else those that
        MEMSVC_CA_FILE, MEMSVC_CLIENT_CERTIFICATE_FILE and MEMSVC_CLIENT_KEY_FILE name. `credentials` take their place.

        `context`, for which a user waits, ends after `context_timeout_seconds`; with `context_or_empty` it answers an
        empty context where the service is down, instead of raising.

        With `wait_for_ready` a call looks for a server until its deadline: a restart is waited for. Without it, it is
        tried five times, within about two seconds.
        """
        subject = Subject(string("namespace", namespace))
        if default_user is not None:
            string("default_user", default_user)
        deadlines = Deadlines.of(
            timeout_seconds, context_timeout_seconds, context_or_empty=context_or_empty, wait_for_ready=wait_for_ready
        )
        self._endpoint = Endpoint.of(target, token, credentials, TlsFiles(ca_file, certificate_file, key_file))
        super().__init__(self._connect(self._endpoint, deadlines), subject)
        self._default_user = default_user

    def __repr__(self) -> str:
        namespace = f", namespace={self._subject.namespace!r}" if self._subject.namespace else ""
        return f"{type(self).__name__}({self._endpoint.target!r}{namespace})"

    @classmethod
    def local(
        cls,
        path: str | os.PathLike[str] | None = None,
        *,
        namespace: str = "",
        default_user: str | None = None,
        timeout_seconds: float = TIMEOUT_SECONDS,
        context_timeout_seconds: float = CONTEXT_TIMEOUT_SECONDS,
        context_or_empty: bool = False,
        **serve_options: ServeOption,
    ) -> Self:
        """Return a client of a server of its own on a SQLite file, or of the one that already serves that file.

        Without `path` it is the file that `memsvc serve` keeps where no other is named, in the user's data folder.

        The server ends by itself soon after its last client; one that was killed is started again by the next call.
        `serve_options` are those of `memsvc serve` (`log_level="debug"` is `--log-level debug`); a server that runs
        already keeps its own. Raises SidecarFailed, with the end of the server's log, where it does not start.
        """
        from memsvc_client.sidecar import Sidecar, default_path  # not on Windows: it needs flock

        sidecar = Sidecar(default_path() if path is None else path, serve_options)
        return cls(
            sidecar,
            namespace=namespace,
            default_user=default_user,
            timeout_seconds=timeout_seconds,
            context_timeout_seconds=context_timeout_seconds,
            context_or_empty=context_or_empty,
        )

    def user(self, user_id: str | None = None, *, agent_id: str = "", team_id: str = "") -> U:
        """Return the handle of one user; sends nothing. `agent_id` and `team_id` are the origin of what it writes."""
        chosen = user_id if user_id is not None else self._default_user
        if not chosen:
            raise ValueError("no user: name one, or give the client a default_user")
        subject = Subject(
            self._subject.namespace,
            string("user_id", chosen),
            string("agent_id", agent_id),
            string("team_id", team_id),
        )
        return self._user(subject)

    @abstractmethod
    def _connect(self, endpoint: Endpoint, deadlines: Deadlines) -> C: ...

    @abstractmethod
    def _user(self, subject: Subject) -> U: ...
