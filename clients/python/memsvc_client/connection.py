"""Carries out calls over a blocking channel. Its twin for asyncio is async_connection.py."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Any, TypeVar

import grpc

from memsvc_client.calls import Call, Pages, Steps
from memsvc_client.channel import Deadlines, Endpoint
from memsvc_client.conversation import Conversation
from memsvc_client.errors import (
    MemoryServiceError,
    SidecarFailed,
    error_from_status,
    server_is_gone,
    service_is_down,
)
from memsvc_client.listing import Listing, Page
from memsvc_client.observation import Observation
from memsvc_client.ownership import Ownership
from memsvc_client.rpcs import STREAMING, Rpc
from memsvc_client.streams import Gathered, Leg, Stream, stream_cut

T = TypeVar("T")


class Connection:
    """One channel to a server, shared by all handles of a client; safe to use from several threads."""

    def __init__(self, endpoint: Endpoint, deadlines: Deadlines) -> None:
        self._ownership = Ownership()
        self._endpoint = endpoint
        self._deadlines = deadlines
        self._sidecar = endpoint.sidecar
        if self._sidecar is not None:
            self._sidecar.ensure()
        self._channel = _open_channel(endpoint)
        self._methods: dict[str, Any] = {}

    def call(self, call: Call[T]) -> T:
        """Send one call and return its answer. Raises MemoryServiceError."""
        seconds, without = self._deadlines.seconds(call), self._deadlines.without(call)
        if without is None:
            return call.read(self._send(call.rpc, call.request, seconds))
        try:
            return call.read(self._send(call.rpc, call.request, seconds, revive=False))
        except MemoryServiceError as failure:
            if not service_is_down(failure):
                raise
            self._revive_meanwhile(failure)
            return without(failure)

    def pages(self, pages: Pages[T]) -> Listing[T]:
        """Return a list whose pages are fetched as they are needed."""
        seconds = self._deadlines.seconds_of_page(pages)

        def fetch() -> Page[T]:
            reply = self._send(pages.rpc, pages.request, seconds)
            pages.request.page_token = reply.next_page_token
            return pages.read(reply), bool(reply.next_page_token)

        return Listing(fetch)

    def steps(self, steps: Steps[T]) -> T:
        """Send one call after the other, and return what all have come to. Raises MemoryServiceError."""
        while (call := steps.next_call()) is not None:
            try:
                answer = self.call(call)
            except MemoryServiceError as failure:
                if not steps.recovers(failure):
                    raise
            else:
                steps.take(answer)
        return steps.result()

    def stream(self, stream: Stream[T]) -> Iterator[T]:
        """Follow a stream to its last event, over as many connections as it takes."""
        while not stream.ended:
            leg = stream.begin_leg()
            self._ownership.check()
            replies = self._method(leg.rpc)(leg.request, timeout=leg.timeout, metadata=self._endpoint.metadata)
            try:
                for reply in replies:
                    if (event := stream.take(reply)) is not None:
                        yield event
                failure: MemoryServiceError = stream_cut()
            except grpc.RpcError as error:
                failure = _failure(error)
            finally:
                replies.cancel()
            if not stream.ended:
                self.wait_for_leg(stream, failure)

    def gather(self, gathered: Gathered[T]) -> T:
        """Follow a stream to its last event and return what the whole of it says."""
        return gathered.read(list(self.stream(gathered.stream)))

    def close(self) -> None:
        if self._ownership.elsewhere:
            return
        self._ownership.closed = True
        self._channel.close()
        if self._sidecar is not None:
            self._sidecar.release()

    def _send(self, rpc: Rpc[Any, Any], request: Any, seconds: float, *, revive: bool = True) -> Any:
        self._ownership.check()
        method, metadata = self._method(rpc), self._endpoint.metadata
        until = time.monotonic() + seconds
        try:
            waits = self._deadlines.wait_for_ready
            return method(request, timeout=seconds, metadata=metadata, wait_for_ready=waits or None)
        except grpc.RpcError as error:
            failure = _failure(error)
            if self._sidecar is None or not revive or not server_is_gone(failure):
                raise failure from error
        except ValueError:
            # Closed by another thread meanwhile.
            self._ownership.check()
            raise
        try:
            self._sidecar.ensure(until - time.monotonic())
            return method(request, timeout=until - time.monotonic(), metadata=metadata, wait_for_ready=True)
        except grpc.RpcError as error:
            raise _failure(error) from error

    def _revive_meanwhile(self, failure: MemoryServiceError) -> None:
        """Start the sidecar that is gone, for the next call: this one answers at once."""
        if self._sidecar is not None and server_is_gone(failure):
            with contextlib.suppress(SidecarFailed):
                self._sidecar.start()

    def observe(self, observation: Observation) -> Conversation:
        """Return the conversation that is to be observed; it begins with its `with`."""
        return Conversation(self, observation)

    def converse(self, leg: Leg, requests: Iterator[Any]) -> Any:
        """Begin a stream both ways."""
        self._ownership.check()
        if (method := self._methods.get(leg.rpc.path)) is None:
            serializer = leg.rpc.request.SerializeToString
            method = self._channel.stream_stream(leg.rpc.path, serializer, leg.rpc.reply.FromString)
            self._methods[leg.rpc.path] = method
        return method(requests, timeout=leg.timeout, metadata=self._endpoint.metadata)

    def failure_of(self, error: Exception) -> MemoryServiceError:
        """Return the typed error of a failed call. Raises what is none."""
        if isinstance(error, grpc.RpcError):
            return _failure(error)
        raise error

    def wait_for_leg(self, stream: Stream[Any], failure: MemoryServiceError) -> None:
        """Return when a broken stream is to be taken up. Raises its failure where it is not."""
        delay = stream.retry_delay(failure, self._deadlines.timeout_seconds)
        if delay is None:
            raise failure
        if self._sidecar is not None and server_is_gone(failure):
            self._sidecar.ensure()
        time.sleep(delay)

    def _method(self, rpc: Rpc[Any, Any]) -> Any:
        if (method := self._methods.get(rpc.path)) is None:
            opener = self._channel.unary_stream if rpc.path in STREAMING else self._channel.unary_unary
            method = opener(rpc.path, rpc.request.SerializeToString, rpc.reply.FromString)
            self._methods[rpc.path] = method
        return method


def _open_channel(endpoint: Endpoint) -> grpc.Channel:
    if endpoint.credentials is None:
        return grpc.insecure_channel(endpoint.target, endpoint.options)
    return grpc.secure_channel(endpoint.target, endpoint.credentials, endpoint.options)


def _failure(error: grpc.RpcError) -> MemoryServiceError:
    """Return the typed error of a failed call; what grpc raises for one is a call as well."""
    return error_from_status(error.code(), error.details() or "", error.trailing_metadata())
