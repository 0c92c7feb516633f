"""Any RPC of one server, called with JSON and answered in JSON."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf import message_factory
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.json_format import MessageToDict, ParseDict
from google.rpc import error_details_pb2, status_pb2

from memsvc.v1 import admin_pb2, config_pb2, context_pb2, extraction_pb2, memory_pb2, session_pb2, tool_pb2
from tests.same_calls.names import Names

JSON = dict[str, Any]

CALL_SECONDS = 60.0
METHODS: Mapping[str, MethodDescriptor] = {
    method.name: method
    for module in (admin_pb2, config_pb2, context_pb2, extraction_pb2, memory_pb2, session_pb2, tool_pb2)
    for service in module.DESCRIPTOR.services_by_name.values()
    for method in service.methods
}
_DAY = re.compile(r"20[2-9]\d-\d\d-\d\d(?: \d\d:\d\d)?")
_HINTS = ("progress", "proposed", "heartbeat")
"""Events that a stream may leave out or repeat."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request. `enough` ends a stream that would not end by itself; it is asked after each message."""

    method: str
    request: JSON
    enough: Callable[[JSON], bool] = lambda reply: False
    seconds: float = CALL_SECONDS
    more: tuple[JSON, ...] = ()
    """What follows the request, where a method takes a stream of them."""


@dataclass(frozen=True, slots=True)
class Server:
    """One server, by the name of its driver."""

    driver: str
    channel: grpc.aio.Channel
    blocking: grpc.Channel
    names: Names = field(default_factory=Names)

    async def answer(self, call: Call) -> JSON:
        """Send a call; return the `replies`, and the `failure` if it failed, comparable with those of other servers."""
        method = METHODS[call.method]
        kind = message_factory.GetMessageClass(method.input_type)
        request, *more = (ParseDict(self.names.for_server(each), kind()) for each in (call.request, *call.more))
        how = self.channel.unary_stream if method.server_streaming else self.channel.unary_unary
        if method.client_streaming:
            # The library's asyncio half loses the status of a stream that ends while it sends.
            how = self.blocking.stream_stream
        send = how(
            f"/{method.containing_service.full_name}/{method.name}",
            request_serializer=kind.SerializeToString,
            response_deserializer=message_factory.GetMessageClass(method.output_type).FromString,
        )
        answer: JSON = {"replies": []}
        try:
            if method.client_streaming:
                replies = await asyncio.to_thread(lambda: list(send(iter((request, *more)), timeout=call.seconds)))
                answer["replies"] += map(self._comparable, in_order(replies))
            elif method.server_streaming:
                await self._read(send(request, timeout=call.seconds), call, answer["replies"])
            else:
                answer["replies"].append(self._comparable(await send(request, timeout=call.seconds)))
        except grpc.RpcError as error:
            answer["failure"] = self._failure(error)
        return answer

    async def _read(self, stream: Any, call: Call, replies: list[JSON]) -> None:
        async for message in stream:
            reply = self._comparable(message)
            if not any(hint in reply.get("event", ()) for hint in _HINTS):
                replies.append(reply)
            if call.enough(reply):
                stream.cancel()
                return

    def _comparable(self, message: Any) -> JSON:
        reply: JSON = self.names.for_all(MessageToDict(message, preserving_proto_field_name=True))
        if isinstance(message, admin_pb2.GetServerInfoResponse):
            # Drivers differ in these, and should.
            reply["driver"], reply["capabilities"] = "", [each["name"] for each in reply["capabilities"]]
        if isinstance(message, tool_pb2.CallToolResponse):
            # It tells when something was said, by the clock of the server.
            reply["text"] = _DAY.sub("now", reply["text"])
        return reply

    def _failure(self, error: Any) -> JSON:
        details = [
            _unpacked(detail)
            for key, value in error.trailing_metadata() or ()
            if key == "grpc-status-details-bin"
            for detail in status_pb2.Status.FromString(value).details
        ]
        failure = {"code": error.code().name, "message": error.details(), "details": details}
        comparable: JSON = self.names.texts_for_all(failure)
        return comparable


def _unpacked(packed: Any) -> JSON:
    for kind in (error_details_pb2.ErrorInfo, error_details_pb2.BadRequest, error_details_pb2.RetryInfo):
        detail = kind()
        if packed.Unpack(detail):
            found: JSON = MessageToDict(detail, preserving_proto_field_name=True)
            return found
    raise AssertionError(f"unknown detail {packed.type_url}")


@asynccontextmanager
async def connected(driver: str, target: str) -> AsyncIterator[Server]:
    """Connect to a server."""
    options = [("grpc.default_authority", "localhost"), ("grpc.max_receive_message_length", -1)]
    with grpc.insecure_channel(target, options=options) as blocking:
        async with grpc.aio.insecure_channel(target, options=options) as channel:
            yield Server(driver, channel, blocking)


def in_order(replies: list[extraction_pb2.ObserveConversationResponse]) -> list[Any]:
    """Return what an observed conversation said, without hints, and without the order of what happens at once."""
    started = [reply for reply in replies if reply.HasField("started")]
    acknowledged = [reply for reply in replies if reply.HasField("acknowledged")]
    learning = [reply for reply in replies if reply.HasField("learning") and reply.learning.event.number]
    accepted: dict[str, int] = {}
    for reply in learning:
        event = reply.learning.event
        if event.HasField("accepted"):
            accepted[reply.learning.extraction_id] = event.accepted.extraction.create_time.ToMicroseconds()
            # As many as had come by then.
            event.accepted.extraction.ClearField("run_ids")
    learning.sort(key=lambda reply: (accepted[reply.learning.extraction_id], reply.learning.event.number))
    return [*started, *acknowledged, *learning]
