"""OpenTelemetry: a span for each sampled call, and below it the journal, the database and the model.

Who is sampled is decided here, before any span is made: where the caller says so (W3C traceparent), or for a share of
the calls that come without one. All else costs a look at the call's headers. Names and attributes are those of
OpenTelemetry's conventions for memory of generative AI; what was said or is remembered is in none, unless asked for.
"""

from __future__ import annotations

import random
import re
import sys
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, cast

from memsvc.config import Config
from memsvc.errors import Error, ExtractionError, Reason, invalid
from memsvc.storage.driver import Driver

_TRACEPARENT: Final = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
_ASKED: Final = ("append", "load", "records", "rows", "get", "users", "truncate", "redact")
"""What of a driver is worth a span: not whether a journal still ends where it did, which each read asks."""


class Traces:
    """Makes spans. Without a tracer none is made."""

    def __init__(self, tracer: Any = None, *, share: float = 0.0, shows_content: bool = False) -> None:
        self.is_on = tracer is not None
        self.shows_content = shows_content
        self._tracer = tracer
        self._share = share

    def sampled(self, metadata: Iterable[tuple[str, Any]]) -> Any | None:
        """Return the context that a call's span belongs to; None: the call is not sampled."""
        given = next((value for key, value in metadata if key == "traceparent"), None)
        if given is None:
            return _root() if random.random() < self._share else None
        parts = _TRACEPARENT.fullmatch(given) if isinstance(given, str) else None
        if parts is None or not int(parts[3], 16) & 1:
            return None
        return _remote(parts)

    @property
    def is_recording(self) -> bool:
        """Whether what runs here belongs to a sampled call."""
        if not self.is_on:
            return False
        from opentelemetry import trace

        return bool(trace.get_current_span().is_recording())

    @contextmanager
    def span(self, name: str, kind: str = "INTERNAL", context: Any = None, **attributes: Any) -> Iterator[Any]:
        """Make a span for the body; what is raised marks it, by its reason and never by its words."""
        from opentelemetry.trace import SpanKind, Status, StatusCode

        links = attributes.pop("links", None)
        with self._tracer.start_as_current_span(
            name,
            context=context,
            kind=SpanKind[kind],
            attributes={key.replace("__", "."): value for key, value in attributes.items()},
            links=links,
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            try:
                yield span
            except Exception as error:
                reason = error.reason if isinstance(error, Error | ExtractionError) else Reason.INTERNAL
                span.set_attribute("error.type", str(reason))
                span.set_status(Status(StatusCode.ERROR))
                raise

    @contextmanager
    def extraction(self, namespace: str, accepted_in: Iterable[str]) -> Iterator[None]:
        """Make the span of an attempt at extractions, linked to the sampled calls that they were accepted in, if any.

        `accepted_in`: traceparents; empty ones are of calls that were not sampled.
        """
        found = [_TRACEPARENT.fullmatch(each) for each in dict.fromkeys(accepted_in)] if self.is_on else []
        callers = [_span_context(parts) for parts in found if parts is not None]
        if not callers:
            yield
            return
        from opentelemetry.trace import Link

        names = {"gen_ai__operation__name": "upsert_memory", "gen_ai__memory__store__id": namespace}
        links = [Link(each) for each in callers]
        with self.span("upsert_memory", context=_root(), links=links, **names):
            yield


OFF: Final = Traces()


def traceparent() -> str:
    """Return the span of the sampled call that this runs in, as W3C writes it; empty: none.

    It is kept with what is accepted now and done later, perhaps by another server.
    """
    trace = sys.modules.get("opentelemetry.trace")
    span = None if trace is None else trace.get_current_span()
    if span is None or not span.is_recording():
        return ""
    found = span.get_span_context()
    return f"00-{found.trace_id:032x}-{found.span_id:016x}-01"


def build_traces(settings: Config) -> Traces:
    """Return what makes spans and sends them by OTLP, as OTEL_EXPORTER_OTLP_ENDPOINT and its kin say.

    Raises InvalidArgument where traces are wanted and the extra `otel` is not installed.
    """
    if not settings.traces:
        return OFF
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise invalid("traces", "needs the extra otel: pip install 'memsvc[otel]'") from error
    provider = TracerProvider(resource=Resource.create({"service.name": "memsvc"}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return traces_of(provider, settings)


def traces_of(provider: Any, settings: Config) -> Traces:
    """Return what makes spans by a provider of OpenTelemetry's SDK."""
    tracer = provider.get_tracer("memsvc")
    return Traces(tracer, share=settings.trace_share, shows_content=settings.trace_content)


def traced_driver(driver: Driver, traces: Traces, system: str) -> Driver:
    """Return the driver, whose calls for sampled calls have spans from now on."""
    return cast("Driver", _Traced(driver, traces, system))


class _Traced:
    def __init__(self, driver: Driver, traces: Traces, system: str) -> None:
        self._driver = driver
        for operation in _ASKED:
            setattr(self, operation, _with_span(getattr(driver, operation), operation, traces, system))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._driver, name)


def _with_span(
    ask: Callable[..., Awaitable[Any]], operation: str, traces: Traces, system: str
) -> Callable[..., Awaitable[Any]]:
    names: Mapping[str, str] = {"db__system__name": system, "db__operation__name": operation}

    async def asked(*args: Any, **options: Any) -> Any:
        if not traces.is_recording:
            return await ask(*args, **options)
        with traces.span(operation, "CLIENT", **names):
            return await ask(*args, **options)

    return asked


def _root() -> Any:
    from opentelemetry.context import Context

    return Context()


def _remote(parts: re.Match[str]) -> Any:
    from opentelemetry import trace
    from opentelemetry.context import Context

    return trace.set_span_in_context(trace.NonRecordingSpan(_span_context(parts)), Context())


def _span_context(parts: re.Match[str]) -> Any:
    """Return the span that a traceparent names, of somebody else and sampled."""
    from opentelemetry import trace

    return trace.SpanContext(int(parts[1], 16), int(parts[2], 16), is_remote=True, trace_flags=trace.TraceFlags(1))
