"""What is answered for methods that there are not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import grpc
from google.protobuf.empty_pb2 import Empty

from memsvc.errors import Reason, Unimplemented
from memsvc.rpc.calling import Context, Handler, Rpc
from memsvc.rpc.interceptors import errors

if TYPE_CHECKING:
    _GenericRpcHandler = grpc.GenericRpcHandler[Any, Any]
else:
    _GenericRpcHandler = grpc.GenericRpcHandler


class UnknownMethods(_GenericRpcHandler):
    """Answers every method that no handler before it has, however it is called: UNIMPLEMENTED, NOT_SUPPORTED.

    gRPC's own answer gives no reason. MUST be the last handler of a server.
    """

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[Any, Any]:
        return grpc.stream_stream_rpc_method_handler(refuse)


async def _raise(_: Any, context: Context) -> None:
    raise Unimplemented(Reason.NOT_SUPPORTED, "there is no such method")


refuse: Final[Handler] = errors(Rpc("", "", Empty, streams=True), _raise)
"""Ends a call of a method that there is not."""
