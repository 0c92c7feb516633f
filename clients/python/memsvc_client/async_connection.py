"""Carries out calls over an asyncio channel. Its blocking twin is connection.py."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, TypeVar

import grpc
import grpc.aio

from memsvc_client.calls import Call, Pages
from memsvc_client.channel import Endpoint
from memsvc_client.errors import MemoryServiceError, error_from_status, server_is_gone
from memsvc_client.rpcs import STREAMING, Rpc
from memsvc_client.streams import Gathered, Stream, stream_cut

T = TypeVar("T")


class AsyncConnection:
    """One channel to a server, shared by all handles of a client; belongs to the event loop that first used it."""

    def __init__(self, endpoint: Endpoint, timeout_seconds: float) -> None:
        self._endpoint = endpoint
        self._timeout_seconds = timeout_seconds
        self._sidecar = endpoint.sidecar
        self._channel: grpc.aio.Channel | None = None
        self._methods: dict[str, Any] = {}

    async def call(self, call: Call[T]) -> T:
        """Send one call and return its answer. Raises MemoryServiceError."""
        timeout = self._timeout(call.timeout) + call.extra_seconds
        return call.read(await self._send(call.rpc, call.request, timeout))

    async def pages(self, pages: Pages[T]) -> AsyncIterator[T]:
        """Fetch page after page, as they are needed."""
        timeout = self._timeout(pages.timeout)
        while True:
            reply = await self._send(pages.rpc, pages.request, timeout)
            for item in pages.read(reply):
                yield item
            if not reply.next_page_token:
                return
            pages.request.page_token = reply.next_page_token

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
                await self._wait_for_leg(stream, failure)

    async def gather(self, gathered: Gathered[T]) -> T:
        """Follow a stream to its last event and return what the whole of it says."""
        return gathered.read([event async for event in self.stream(gathered.stream)])

    async def close(self) -> None:
        if self._channel is not None:
            await self._channel.close(None)
        if self._sidecar is not None:
            self._sidecar.release()

    def _timeout(self, given: float | None) -> float:
        return self._timeout_seconds if given is None else given

    async def _send(self, rpc: Rpc[Any, Any], request: Any, seconds: float) -> Any:
        method, metadata = await self._method(rpc), self._endpoint.metadata
        try:
            return await method(request, timeout=seconds, metadata=metadata)
        except grpc.RpcError as error:
            failure = _failure(error)
            if self._sidecar is None or not server_is_gone(failure):
                raise failure from error
        try:
            await asyncio.to_thread(self._sidecar.ensure)
            return await method(request, timeout=seconds, metadata=metadata, wait_for_ready=True)
        except grpc.RpcError as error:
            raise _failure(error) from error

    async def _wait_for_leg(self, stream: Stream[Any], failure: MemoryServiceError) -> None:
        delay = stream.retry_delay(failure, self._timeout_seconds)
        if delay is None:
            raise failure
        if self._sidecar is not None and server_is_gone(failure):
            await asyncio.to_thread(self._sidecar.ensure)
        await asyncio.sleep(delay)

    async def _method(self, rpc: Rpc[Any, Any]) -> Any:
        if (method := self._methods.get(rpc.path)) is None:
            channel = await self._opened()
            opener = channel.unary_stream if rpc.path in STREAMING else channel.unary_unary
            method = opener(rpc.path, rpc.request.SerializeToString, rpc.reply.FromString)
            self._methods[rpc.path] = method
        return method

    async def open(self) -> None:
        """Open the channel, and start the sidecar where there is to be one; the first call does it otherwise."""
        await self._opened()

    async def _opened(self) -> grpc.aio.Channel:
        if self._channel is None and self._sidecar is not None:
            await asyncio.to_thread(self._sidecar.ensure)
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
