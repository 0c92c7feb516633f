"""Carries out calls over an asyncio channel. Its blocking twin is connection.py."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, TypeVar

import grpc
import grpc.aio

from memsvc_client.async_conversation import AsyncConversation
from memsvc_client.calls import Call, Pages, Steps
from memsvc_client.channel import Deadlines, Endpoint
from memsvc_client.errors import (
    DeadlineExceeded,
    MemoryServiceError,
    Unavailable,
    error_from_status,
    server_is_gone,
    service_is_down,
    still_starting,
)
from memsvc_client.listing import AsyncListing, Page
from memsvc_client.observation import Observation
from memsvc_client.ownership import Ownership, other_event_loop
from memsvc_client.rpcs import STREAMING, Rpc
from memsvc_client.streams import Gathered, Leg, Stream, stream_cut

if TYPE_CHECKING:
    from memsvc_client.sidecar import Sidecar

T = TypeVar("T")

_ENDED_WHILE_SENDING = "Internal error from Core"
"""What the library says instead of the status, where a stream ends while it sends."""
_SPARE_SECONDS = 0.2
"""How long after its own deadline a call is waited for."""


class AsyncConnection:
    """One channel to a server, shared by all handles of a client; belongs to the event loop that first used it."""

    def __init__(self, endpoint: Endpoint, deadlines: Deadlines) -> None:
        self._ownership = Ownership()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._endpoint = endpoint
        self._deadlines = deadlines
        self._sidecar = endpoint.sidecar
        self._channel: grpc.aio.Channel | None = None
        self._methods: dict[str, Any] = {}

    async def call(self, call: Call[T]) -> T:
        """Send one call and return its answer. Raises MemoryServiceError."""
        seconds, without = self._deadlines.seconds(call), self._deadlines.without(call)
        if without is None:
            return call.read(await self._send(call.rpc, call.request, seconds))
        try:
            # A sidecar that has to be started first goes on starting, for the next call.
            async with asyncio.timeout(seconds + _SPARE_SECONDS):
                return call.read(await self._send(call.rpc, call.request, seconds))
        except MemoryServiceError as failure:
            if not service_is_down(failure):
                raise
            return without(failure)
        except TimeoutError:
            return without(DeadlineExceeded(f"the service did not answer within {seconds:g} s"))

    def pages(self, pages: Pages[T]) -> AsyncListing[T]:
        """Return a list whose pages are fetched as they are needed."""
        seconds = self._deadlines.seconds_of_page(pages)

        async def fetch() -> Page[T]:
            reply = await self._send(pages.rpc, pages.request, seconds)
            pages.request.page_token = reply.next_page_token
            return pages.read(reply), bool(reply.next_page_token)

        return AsyncListing(fetch)

    async def steps(self, steps: Steps[T]) -> T:
        """Send one call after the other, and return what all have come to. Raises MemoryServiceError."""
        while (call := steps.next_call()) is not None:
            try:
                answer = await self.call(call)
            except MemoryServiceError as failure:
                if not steps.recovers(failure):
                    raise
            else:
                steps.take(answer)
        return steps.result()

    async def stream(self, stream: Stream[T]) -> AsyncIterator[T]:
        """Follow a stream to its last event, over as many connections as it takes."""
        while not stream.ended:
            leg = stream.begin_leg()
            replies = (await self._method(leg.rpc))(leg.request, timeout=leg.timeout, metadata=self._endpoint.metadata)
            try:
                async for reply in replies:
                    if (event := stream.take(reply)) is not None:
                        yield event
                failure: MemoryServiceError = stream_cut()
            except grpc.RpcError as error:
                failure = _failure(error)
            finally:
                replies.cancel()
            if not stream.ended:
                await self.wait_for_leg(stream, failure)

    async def gather(self, gathered: Gathered[T]) -> T:
        """Follow a stream to its last event and return what the whole of it says."""
        return gathered.read([event async for event in self.stream(gathered.stream)])

    async def close(self) -> None:
        if self._ownership.elsewhere:
            return
        self._ownership.closed = True
        # A channel of another loop cannot be closed from here; it ends with its loop.
        if self._channel is not None and self._loop is asyncio.get_running_loop():
            await self._channel.close(None)
        if self._sidecar is not None:
            self._sidecar.release()

    async def _send(self, rpc: Rpc[Any, Any], request: Any, seconds: float) -> Any:
        method, metadata = await self._method(rpc), self._endpoint.metadata
        until = time.monotonic() + seconds
        try:
            waits = self._deadlines.wait_for_ready
            return await method(request, timeout=seconds, metadata=metadata, wait_for_ready=waits or None)
        except grpc.RpcError as error:
            failure = _failure(error)
            if self._sidecar is None or not server_is_gone(failure):
                raise failure from error
        try:
            await self._ensure(self._sidecar, until - time.monotonic())
            return await method(request, timeout=until - time.monotonic(), metadata=metadata, wait_for_ready=True)
        except grpc.RpcError as error:
            raise _failure(error) from error

    async def _ensure(self, sidecar: Sidecar, seconds: float | None = None) -> None:
        """As `Sidecar.ensure`, without a thread for each call that waits."""
        try:
            async with asyncio.timeout(seconds):
                await asyncio.shield(asyncio.wrap_future(sidecar.start()))
        except TimeoutError:
            raise still_starting() from None

    def observe(self, observation: Observation) -> AsyncConversation:
        """Return the conversation that is to be observed; it begins with its `async with`."""
        return AsyncConversation(self, observation)

    async def converse(self, leg: Leg, requests: AsyncIterator[Any]) -> Any:
        """Begin a stream both ways."""
        self._check()
        if (method := self._methods.get(leg.rpc.path)) is None:
            channel = await self._opened()
            serializer = leg.rpc.request.SerializeToString
            method = channel.stream_stream(leg.rpc.path, serializer, leg.rpc.reply.FromString)
            self._methods[leg.rpc.path] = method
        return method(requests, timeout=leg.timeout, metadata=self._endpoint.metadata)

    def failure_of(self, error: Exception) -> MemoryServiceError:
        """Return the typed error of a failed call. Raises what is none."""
        if isinstance(error, grpc.RpcError):
            if error.details() == _ENDED_WHILE_SENDING:
                # Why it ended, the next stream is told as well.
                return Unavailable("the stream ended while a message was sent")
            return _failure(error)
        raise error

    async def wait_for_leg(self, stream: Stream[Any], failure: MemoryServiceError) -> None:
        """Return when a broken stream is to be taken up. Raises its failure where it is not."""
        delay = stream.retry_delay(failure, self._deadlines.timeout_seconds)
        if delay is None:
            raise failure
        if self._sidecar is not None and server_is_gone(failure):
            await self._ensure(self._sidecar)
        await asyncio.sleep(delay)

    def _check(self) -> None:
        self._ownership.check()
        loop = asyncio.get_running_loop()
        self._loop = self._loop or loop
        if loop is not self._loop:
            raise other_event_loop()

    async def _method(self, rpc: Rpc[Any, Any]) -> Any:
        self._check()
        if (method := self._methods.get(rpc.path)) is None:
            channel = await self._opened()
            opener = channel.unary_stream if rpc.path in STREAMING else channel.unary_unary
            method = opener(rpc.path, rpc.request.SerializeToString, rpc.reply.FromString)
            self._methods[rpc.path] = method
        return method

    async def open(self) -> None:
        """Open the channel, and start the sidecar where there is to be one; the first call does it otherwise."""
        self._check()
        await self._opened()

    async def _opened(self) -> grpc.aio.Channel:
        if self._channel is None and self._sidecar is not None:
            await self._ensure(self._sidecar)
        if self._channel is None:
            self._channel = _open_channel(self._endpoint)
        return self._channel


def _open_channel(endpoint: Endpoint) -> grpc.aio.Channel:
    if endpoint.credentials is None:
        return grpc.aio.insecure_channel(endpoint.target, endpoint.options)
    return grpc.aio.secure_channel(endpoint.target, endpoint.credentials, endpoint.options)


def _failure(error: grpc.RpcError) -> MemoryServiceError:
    """Return the typed error of a failed call; what grpc raises for one is a call as well."""
    return error_from_status(error.code(), error.details() or "", error.trailing_metadata())
