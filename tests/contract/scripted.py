"""A server of another age: it answers as a case's file says, with values, fields and errors that none has today."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.protobuf.json_format import MessageToDict, ParseDict
from google.rpc import error_details_pb2, status_pb2  # type: ignore[import-untyped]

from memsvc_client import rpcs

_RPCS = {rpc.path: rpc for rpc in vars(rpcs).values() if isinstance(rpc, rpcs.Rpc)}
_UNKNOWN_FIELD = b"\xb8\x3e\x01"
"""Field 999 with the value 1: every answer has it, as those of a newer server may."""

Answer = Mapping[str, Any]
"""`{reply: …}`, or `{events: […]}` and how the stream ends: `error`, `cut: true`, `hang: true`; none: in good order."""


class ScriptedServer(grpc.GenericRpcHandler):  # type: ignore[misc]
    """Answers each RPC with what is next in its script; the last answer is given again and again."""

    def __init__(self, target: str) -> None:
        self.target = target
        self.requests: dict[str, list[Any]] = {}
        """What came, by the RPC's name, in protojson."""
        self._script: dict[str, Sequence[Answer]] = {}
        self._server: grpc.aio.Server | None = None

    async def start(self, certificate: tuple[Path, Path] | None) -> None:
        """Begin to serve, with TLS where there is a certificate."""
        self._server = grpc.aio.server()
        self._server.add_generic_rpc_handlers((self,))
        if certificate is None:
            port = self._server.add_insecure_port(self.target)
        else:
            chain, key = (path.read_bytes() for path in certificate)
            port = self._server.add_secure_port(self.target, grpc.ssl_server_credentials([(key, chain)]))
        if not self.target.startswith("unix:"):
            self.target = f"127.0.0.1:{port}"
        await self._server.start()

    async def stop(self) -> None:
        if self._server is not None:
            await self._server.stop(0)

    def play(self, script: Mapping[str, Sequence[Answer]]) -> None:
        """Answer by this script from now on."""
        self._script = dict(script)
        self.requests = {name: [] for name in script}

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        path = str(details.method)
        rpc, name = _RPCS.get(path), path.rpartition("/")[2]
        if rpc is None or name not in self._script:
            return None

        async def one(request: bytes, context: Any) -> bytes:
            answer = self._next(rpc, name, request)
            if "reply" not in answer:
                await _end(answer, context)
            return _written(rpc, answer["reply"])

        async def several(request: bytes, context: Any) -> AsyncIterator[bytes]:
            answer = self._next(rpc, name, request)
            for event in answer.get("events", ()):
                yield _written(rpc, event)
            await _end(answer, context)

        if path in rpcs.STREAMING:
            return grpc.unary_stream_rpc_method_handler(several)
        return grpc.unary_unary_rpc_method_handler(one)

    def _next(self, rpc: rpcs.Rpc[Any, Any], name: str, request: bytes) -> Answer:
        came = self.requests[name]
        came.append(MessageToDict(rpc.request.FromString(request)))
        answers = self._script[name]
        return answers[min(len(came), len(answers)) - 1]


def _written(rpc: rpcs.Rpc[Any, Any], reply: Mapping[str, Any]) -> bytes:
    """Return a reply as bytes, with a field that nobody knows."""
    message = ParseDict(reply, rpc.reply())
    return bytes(message.SerializeToString()) + _UNKNOWN_FIELD


async def _end(answer: Answer, context: Any) -> None:
    """End a call as its answer says."""
    if answer.get("hang"):
        await asyncio.Event().wait()
    if answer.get("cut"):
        await context.abort(grpc.StatusCode.UNAVAILABLE, "Socket closed")
    if (error := answer.get("error")) is not None:
        status = _status(error)
        context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
        await context.abort(grpc.StatusCode[error["code"]], status.message)


def _status(error: Mapping[str, Any]) -> Any:
    """Return the rich status of an error: `{code, reason, message, metadata, fields, retryAfterSeconds}`."""
    details: list[Any] = []
    if reason := error.get("reason"):
        metadata = error.get("metadata", {})
        details.append(error_details_pb2.ErrorInfo(reason=reason, domain="memsvc.dev", metadata=metadata))
    if fields := error.get("fields"):
        violation = error_details_pb2.BadRequest.FieldViolation
        details.append(error_details_pb2.BadRequest(field_violations=[violation(field=each) for each in fields]))
    if seconds := error.get("retryAfterSeconds"):
        delay = Duration()
        delay.FromMilliseconds(int(seconds * 1000))
        details.append(error_details_pb2.RetryInfo(retry_delay=delay))
    status = status_pb2.Status(code=grpc.StatusCode[error["code"]].value[0], message=error.get("message", "scripted"))
    for each in details:
        packed = AnyMessage()
        packed.Pack(each)
        status.details.append(packed)
    return status
