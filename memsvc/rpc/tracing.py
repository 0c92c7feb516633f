"""A span around each sampled call, named by what is done with the memory."""

from __future__ import annotations

from typing import Any, Final

from memsvc.rpc.calling import Context, Handler, Rpc, Wrapper, current_head
from memsvc.tracing import Traces

_OPERATIONS: Final = {
    "CreateMemory": "create_memory",
    "BatchWriteMemories": "upsert_memory",
    "UpdateMemory": "update_memory",
    "DeleteMemory": "delete_memory",
    "ClearMemories": "delete_memory",
    "EraseUser": "delete_memory",
    "GetMemory": "search_memory",
    "ListMemories": "search_memory",
    "SearchMemories": "search_memory",
    "SearchHistory": "search_memory",
    "CompileContext": "search_memory",
}
"""OpenTelemetry's names of operations, for the methods that are one of these; others are named as they are."""


def tracing(traces: Traces) -> Wrapper:
    """Return the wrapper that makes the span of a call that is sampled. It comes right inside `errors`."""

    def wrapper(rpc: Rpc, handler: Handler) -> Handler:
        names = {"rpc__system": "grpc", "rpc__service": rpc.service, "rpc__method": rpc.name}
        operation = _OPERATIONS.get(rpc.name)
        if operation is not None:
            names["gen_ai__operation__name"] = operation

        async def handle(request: Any, context: Context) -> Any:
            parent = traces.sampled(current_head())
            if parent is None:
                return await handler(request, context)
            with traces.span(operation or rpc.name, "SERVER", parent, **names):
                return await handler(request, context)

        return handle

    return wrapper


def describing(traces: Traces) -> Wrapper:
    """Return the wrapper that says in a call's span what it is about. It comes once the request is read."""

    def wrapper(rpc: Rpc, handler: Handler) -> Handler:
        fields = rpc.request.DESCRIPTOR.fields_by_name
        has_scope, has_query = "scope" in fields, "query" in fields
        id_field = fields.get("memory_id")

        async def handle(request: Any, context: Context) -> Any:
            if traces.is_recording:
                from opentelemetry import trace

                span = trace.get_current_span()
                if has_scope:
                    span.set_attribute("gen_ai.memory.store.id", request.scope.namespace or "default")
                if id_field is not None and request.memory_id:
                    span.set_attribute("gen_ai.memory.record.id", request.memory_id)
                if traces.shows_content and has_query and request.query:
                    span.set_attribute("gen_ai.memory.query.text", request.query)
            handling = handler(request, context)
            # See `admission`.
            del request
            return await handling

        return handle

    return wrapper
