"""What is answered for methods that there are not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc
from google.protobuf.empty_pb2 import Empty

from memsvc.errors import Reason, Unimplemented
from memsvc.rpc.calling import Context, Rpc
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
        method = handler_call_details.method

        async def refuse(requests: Any, context: Context) -> None:
            raise Unimplemented(Reason.NOT_SUPPORTED, f"no method {method}")

        return grpc.stream_stream_rpc_method_handler(errors(Rpc("", method, Empty, streams=True), refuse))
