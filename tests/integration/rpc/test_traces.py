"""Spans: from the client's call through journal, database and model; none where nobody samples; never what was said."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from memsvc.application import build_application
from memsvc.config import Config
from memsvc.rpc.listeners import serving
from memsvc.storage.driver import Driver
from memsvc.tracing import traces_of
from memsvc_client import AsyncMemoryClient
from tests.integration.rpc.rpc_harness import Learner

TRACE = "0af7651916cd43dd8448eb211c80319c"
SAMPLED = f"00-{TRACE}-b7ad6b7169203331-01"
NOT_SAMPLED = f"00-{TRACE}-b7ad6b7169203331-00"
LIST, CREATE = "/memsvc.v1.MemoryService/ListMemories", "/memsvc.v1.MemoryService/CreateMemory"


class Traced:
    """A served application, what it exported, and a channel."""

    def __init__(self, exporter: InMemorySpanExporter, channel: grpc.aio.Channel, address: str) -> None:
        self.exporter, self.channel, self.address = exporter, channel, address

    async def call(self, method: str, request: Any, traceparent: str = "") -> None:
        metadata = (("traceparent", traceparent),) if traceparent else ()
        await self.channel.unary_unary(method)(request.SerializeToString(), metadata=metadata, timeout=60)

    @property
    def spans(self) -> dict[str, ReadableSpan]:
        return {span.name: span for span in self.exporter.get_finished_spans()}


@asynccontextmanager
async def traced(driver: Driver, folder: Path, *, learns: bool = True, **settings: Any) -> AsyncIterator[Traced]:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    config = Config(storage_url="memory://", traces=True, quiet_seconds=0.0, max_quiet_seconds=0.0, **settings)
    application = build_application(driver, Learner(), config, traces=traces_of(provider, config))
    if learns:
        application.worker.start()
    address = f"unix://{folder}/s"
    async with serving(application, [address]):
        async with grpc.aio.insecure_channel(address, options=[("grpc.default_authority", "localhost")]) as channel:
            yield Traced(exporter, channel, address)
    await application.worker.stop()
    await application.writer.close()
    provider.shutdown()


def create(text: str = "Lives in Lisbon") -> Any:
    from memsvc.v1 import common_pb2, memory_pb2

    return memory_pb2.CreateMemoryRequest(
        scope=common_pb2.Scope(namespace="acme", user_id="sarah"), memory=memory_pb2.Memory(text=text)
    )


async def test_a_sampled_write_is_followed_down_to_the_database(driver: Driver, folder: Path) -> None:
    async with traced(driver, folder) as server:
        await server.call(CREATE, create(), SAMPLED)
    spans = server.spans
    top, journal, append = spans["create_memory"], spans["write_journal"], spans["append"]

    assert {f"{span.context.trace_id:032x}" for span in (top, journal, append)} == {TRACE}
    assert f"{top.parent.span_id:016x}" == "b7ad6b7169203331"
    assert journal.parent.span_id == top.context.span_id
    assert append.parent.span_id == journal.context.span_id
    assert (top.attributes["gen_ai.operation.name"], top.attributes["gen_ai.memory.store.id"]) == (
        "create_memory",
        "acme",
    )
    assert (append.kind, append.attributes["db.system.name"]) == (trace.SpanKind.CLIENT, "memory")


@pytest.mark.parametrize(
    "traceparent", ["", NOT_SAMPLED, "nonsense", f"00-{TRACE}-xyz-01", f"ff-{TRACE}-b7ad6b7169203331-01"]
)
async def test_who_is_not_sampled_makes_no_span(driver: Driver, folder: Path, traceparent: str) -> None:
    async with traced(driver, folder) as server:
        await server.call(CREATE, create(), traceparent)

    assert server.spans == {}


async def test_a_share_of_the_others_can_be_sampled(driver: Driver, folder: Path) -> None:
    async with traced(driver, folder, trace_share=1.0) as server:
        await server.call(CREATE, create())
        await server.call(CREATE, create(), NOT_SAMPLED)

    assert [span.name for span in server.exporter.get_finished_spans()].count("create_memory") == 1


async def test_an_error_marks_its_span_by_its_reason(driver: Driver, folder: Path) -> None:
    async with traced(driver, folder) as server:
        with pytest.raises(grpc.aio.AioRpcError):
            await server.call(CREATE, create(""), SAMPLED)
    span = server.spans["create_memory"]

    assert (span.attributes["error.type"], span.status.status_code) == ("INVALID_FIELD", trace.StatusCode.ERROR)
    assert span.events == ()


async def test_what_is_said_is_in_no_span_unless_that_is_switched_on(driver: Driver, folder: Path) -> None:
    from memsvc.v1 import common_pb2, memory_pb2

    scope = common_pb2.Scope(user_id="sarah-4711")
    search = memory_pb2.SearchMemoriesRequest(scope=scope, query="the secret of Lisbon")
    shown = []
    for content in (False, True):
        async with traced(driver, folder, trace_content=content) as server:
            await server.call(CREATE, create("the secret of Lisbon"), SAMPLED)
            await server.call("/memsvc.v1.MemoryService/SearchMemories", search, SAMPLED)
        shown.append(" ".join(span.to_json() for span in server.exporter.get_finished_spans()))

    assert ("secret" in shown[0], "sarah" in shown[0]) == (False, False)
    assert "gen_ai.memory.query.text" in shown[1]


async def test_the_link_is_there_after_a_restart_and_on_another_server(driver: Driver, folder: Path) -> None:
    from memsvc.v1 import common_pb2, session_pb2
    from tests.integration.rpc.rpc_harness import said

    scope = common_pb2.Scope(user_id="sarah")
    async with traced(driver, folder, learns=False) as first:
        for session, traceparent in (("s1", SAMPLED), ("s2", "")):
            run = session_pb2.Run(session_id=session, messages=[said("I ski in Tahoe")])
            request = session_pb2.AppendRunRequest(scope=scope, run=run)
            await first.call("/memsvc.v1.SessionService/AppendRun", request, traceparent)
    accepted = first.spans["AppendRun"]
    async with traced(driver, folder) as second:
        waited = session_pb2.AppendRunRequest(scope=scope, run=session_pb2.Run(session_id="s3", messages=[said("Hi")]))
        waited.wait_for_learning.FromSeconds(30)
        await second.call("/memsvc.v1.SessionService/AppendRun", waited, NOT_SAMPLED)
    learned = [span for span in second.exporter.get_finished_spans() if span.name == "upsert_memory"]

    links = [(link.context.trace_id, link.context.span_id) for span in learned for link in span.links]
    assert links == [(accepted.context.trace_id, accepted.context.span_id)]


async def test_an_extraction_links_to_the_call_it_comes_from(driver: Driver, folder: Path) -> None:
    from memsvc.v1 import common_pb2, session_pb2
    from tests.integration.rpc.rpc_harness import said

    run = session_pb2.Run(session_id="s1", messages=[said("I ski in Tahoe")])
    request = session_pb2.AppendRunRequest(scope=common_pb2.Scope(user_id="sarah"), run=run)
    request.wait_for_learning.FromSeconds(30)
    async with traced(driver, folder) as server:
        await server.call("/memsvc.v1.SessionService/AppendRun", request, SAMPLED)
    spans = server.spans
    appended, learned, model = spans["AppendRun"], spans["upsert_memory"], spans["chat"]

    assert [link.context.trace_id for link in learned.links] == [appended.context.trace_id]
    assert model.parent.span_id == learned.context.span_id
    assert model.attributes["gen_ai.usage.input_tokens"] == 10
    assert "Tahoe" not in json.dumps([span.to_json() for span in spans.values()])


async def test_the_python_client_hands_on_its_span(driver: Driver, folder: Path) -> None:
    tracer = TracerProvider().get_tracer("agent")
    async with traced(driver, folder) as server:
        async with AsyncMemoryClient(server.address) as client:
            with tracer.start_as_current_span("turn") as turn:
                await client.user("sarah").memories.add("Skis")
    span = server.spans["create_memory"]

    assert span.context.trace_id == turn.get_span_context().trace_id
    assert span.parent.span_id == turn.get_span_context().span_id
