"""Tokens and rights around every call; see `memsvc.access` for what they mean.

`identifying` knows the caller by the head of a call, before anything of its body is read: who guesses tokens takes
nothing from others. `authorizing` looks the method up in the table of rights once it is known whom the request is
about, and puts the caller's only namespace where the request names none. A stream goes on only as long as both would
let it begin: `Standing` asks again when what they know has changed.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, Final, Protocol

from google.protobuf.message import Message
from msgspec import Struct, field

from memsvc.access.audit import Audit
from memsvc.access.caller import Caller, Right, begin_call, current_caller
from memsvc.access.gate import Credentials, Gate
from memsvc.access.rights import DEFAULT_NAMESPACE, Asked, authorize, need_of
from memsvc.errors import Error, PermissionDenied, Unauthenticated
from memsvc.model import READING_TOOLS, Scope
from memsvc.rpc.calling import Context, Handler, Rpc, Wrapper
from memsvc.v1.tool_pb2 import CallToolRequest

LOOK_SECONDS: Final = 0.25
"""A stream whose caller may no longer read it ends after so long."""

CredentialsOf = Callable[[Context], Credentials]


class CallLimits(Protocol):
    """Counts callers' calls."""

    def take_call(self, caller: Caller) -> None: ...


def identifying(gate: Gate, audit: Audit, limits: CallLimits | None, credentials_of: CredentialsOf) -> Wrapper:
    """Return the wrapper that lets in only those who are known. It comes before the request is read."""

    def wrapper(rpc: Rpc, handler: Handler) -> Handler:
        # No coroutine of its own: each takes a microsecond.
        def handle(request: Any, context: Context) -> Awaitable[Any]:
            try:
                caller = gate.identify(credentials_of(context))
            except Unauthenticated as refusal:
                audit.denied("", rpc.name, None, refusal, context.peer())
                raise
            if limits is not None and caller.is_limited:
                limits.take_call(caller)
            begin_call(caller)
            return handler(request, context)

        return handle

    return wrapper


def authorizing(gate: Gate, audit: Audit, credentials_of: CredentialsOf, limited: Wrapper, *, always: bool) -> Wrapper:
    """Return the wrapper that checks the caller's rights. It comes once the request is read.

    `limited` is put around what is called for callers that have limits, or `always`: a layer that does nothing is not
    for nothing.

    Raises KeyError, when it is put around a method, for one that the table of rights does not have.
    """
    standing = Standing(gate)

    def wrapper(rpc: Rpc, handler: Handler) -> Handler:
        need, reading = need_of(rpc.service, rpc.name), reading_of(rpc.request)

        def check(caller: Caller, asked: Asked, context: Context) -> str:
            try:
                return authorize(caller, need, asked)
            except PermissionDenied as refusal:
                audit.denied(caller.actor, rpc.name, Scope(asked.namespace, asked.user_id), refusal, context.peer())
                raise

        with_limits = limited(rpc, handler)
        bare = with_limits if always else handler

        def unary(request: Any, context: Context) -> Awaitable[Any]:
            caller, asked = current_caller(), reading.asked(request)
            namespace = check(caller, asked, context)
            if namespace != (asked.namespace or DEFAULT_NAMESPACE):
                reading.put_namespace(request, namespace)
            return (with_limits if caller.is_limited else bare)(request, context)

        async def stream(request: Any, context: Context) -> Any:
            caller, asked, credentials = current_caller(), reading.asked(request), credentials_of(context)
            reading.put_namespace(request, check(caller, asked, context))
            async with standing.until_refused(
                caller.expire_time, lambda: check(gate.identify(credentials), asked, context)
            ):
                handling = (with_limits if caller.is_limited else bare)(request, context)
                del request
                return await handling

        return stream if rpc.streams else unary

    return wrapper


def auditing(audit: Audit) -> Wrapper:
    """Return the wrapper that writes down administrative acts; nothing is put around other methods."""

    def wrapper(rpc: Rpc, handler: Handler) -> Handler:
        need, reading = need_of(rpc.service, rpc.name), reading_of(rpc.request)
        if Right.ADMIN not in (need.right, need.of_all_users):
            return handler

        async def handle(request: Any, context: Context) -> Any:
            asked, outcome = reading.asked(request), "CANCELLED"
            try:
                reply = await handler(request, context)
                outcome = "OK"
                return reply
            except Error as error:
                outcome = error.code
                raise
            finally:
                if need.right is Right.ADMIN or asked.all_users:
                    namespace = asked.namespace or DEFAULT_NAMESPACE
                    audit.act(current_caller().actor, rpc.name, Scope(namespace, asked.user_id), outcome)

        return handle

    return wrapper


class Reading(Struct, frozen=True):
    """How to read off a kind of request whom it is about."""

    scope: bool
    """It has a scope; else it may have a namespace of its own."""
    namespace: bool
    shared: bool
    all_users: bool
    tool: bool
    """It calls a tool by its name."""

    def asked(self, request: Any) -> Asked:
        scope = request.scope if self.scope else None
        namespace = scope.namespace if scope is not None else request.namespace if self.namespace else ""
        return Asked(
            namespace,
            scope.user_id if scope is not None else "",
            tuple(request.shared_user_ids) if self.shared else (),
            request.all_users if self.all_users else False,
            request.name in READING_TOOLS if self.tool else False,
        )

    def put_namespace(self, request: Any, namespace: str) -> None:
        """Put the namespace that is meant where the request names none."""
        if self.scope:
            if not request.scope.namespace:
                request.scope.namespace = namespace
        elif self.namespace and not request.namespace:
            request.namespace = namespace


def reading_of(kind: type[Message]) -> Reading:
    """Return how to read requests of a kind."""
    names = kind.DESCRIPTOR.fields_by_name
    return Reading(
        scope="scope" in names,
        namespace="namespace" in names,
        shared="shared_user_ids" in names,
        all_users="all_users" in names,
        tool=kind is CallToolRequest,
    )


class _Stream(Struct, eq=False):
    expire_time: float
    check: Callable[[], object]
    limit: asyncio.Timeout
    refusal: Error | None = None


class Standing(Struct):
    """Streams that go on only while their callers may read them."""

    gate: Gate
    _streams: dict[int, _Stream] = field(default_factory=dict)
    _version: int = -1
    _looking: bool = False

    @contextlib.asynccontextmanager
    async def until_refused(self, expire_time: float, check: Callable[[], object]) -> AsyncIterator[None]:
        """Cancel the body once `check` raises Error, and raise that. It is asked again where the gate has changed."""
        stream = _Stream(expire_time, check, asyncio.timeout(None))
        if not self._looking:
            self._version = self.gate.version
            self._look_soon()
        # What changed since the call came in has to be seen as well.
        check()
        self._streams[id(stream)] = stream
        try:
            async with stream.limit:
                yield
        except TimeoutError:
            if stream.refusal is not None and stream.limit.expired():
                raise stream.refusal from None
            raise
        finally:
            del self._streams[id(stream)]

    def _look_soon(self) -> None:
        self._looking = True
        asyncio.get_running_loop().call_later(LOOK_SECONDS, self._look)

    def _look(self) -> None:
        self._looking = False
        version, now = self.gate.version, time.time()
        for stream in self._doubted(version != self._version, now):
            try:
                stream.check()
            except Error as refusal:
                stream.refusal = refusal
                stream.limit.reschedule(asyncio.get_running_loop().time())
        self._version = version
        if self._streams:
            self._look_soon()

    def _doubted(self, all_of_them: bool, now: float) -> Sequence[_Stream]:
        standing = [stream for stream in self._streams.values() if stream.refusal is None]
        if all_of_them:
            return standing
        return [stream for stream in standing if 0 < stream.expire_time <= now]
