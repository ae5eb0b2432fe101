"""Tracing: a span for each request and each job, child of the span that enqueued it; a run of a pipeline is one trace.

Jobs and log lines carry the ids whether or not spans are exported. AURA_TRACES=otlp exports them (the extra
`aura-desk[tracing]`; OTEL_EXPORTER_OTLP_ENDPOINT names the receiver), AURA_TRACES=console prints them.
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from dramatiq import Broker, Middleware, Worker

from aura.error_text import mask_addresses
from aura.jobs import process_state
from aura.jobs.attempt import Attempt
from aura.settings import Settings, SettingsError, get_settings
from db import traces
from db.jobs import Claimed


class Span:
    """The span of one request or job: its traceparent, and OpenTelemetry's span when spans are exported."""

    __slots__ = ("_span", "trace_id", "traceparent")

    def __init__(self, name: str, parent: str | None, kind: str, **attributes: Any) -> None:
        self._span: Any = None
        settings = get_settings()
        if settings.traces == "off":
            self._place(child(parent))
            return
        from opentelemetry.trace import SpanKind
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        propagator, carrier = TraceContextTextMapPropagator(), dict[str, str]()
        above = propagator.extract({"traceparent": parent} if parent else {})
        attributes = {key: mask_addresses(each) if isinstance(each, str) else each for key, each in attributes.items()}
        self._span = _tracer(settings).start_span(name, above, SpanKind[kind], attributes, start_time=time.time_ns())
        from opentelemetry.trace import set_span_in_context

        propagator.inject(carrier, set_span_in_context(self._span))
        self._place(carrier["traceparent"])

    def _place(self, traceparent: str) -> None:
        #: The id of the trace is 32 hexadecimal digits.
        self.traceparent, self.trace_id = traceparent, traceparent[3:35]

    def name(self, name: str) -> None:
        """Rename the span, such as when the route of a request is found."""
        if self._span is not None:
            self._span.update_name(name)

    def link(self, traceparents: Iterable[str]) -> None:
        """Link the span to spans of other traces that caused it."""
        if self._span is not None:
            from opentelemetry.trace import get_current_span
            from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

            propagator = TraceContextTextMapPropagator()
            for each in traceparents:
                self._span.add_link(get_current_span(propagator.extract({"traceparent": each})).get_span_context())

    def end(self, error: str = "", **attributes: Any) -> None:
        """End the span; with an error, as failed."""
        if self._span is not None:
            from opentelemetry.trace import Status, StatusCode

            self._span.set_attributes(attributes)
            if error:
                self._span.set_status(Status(StatusCode.ERROR, error))
            self._span.end()


def child(parent: str | None) -> str:
    """Return the traceparent of a new span in the parent's trace; without a parent, or a malformed one, in a new trace."""
    # they need to be different, not secret; and never all zeros
    span = f"{random.randrange(1, 1 << 64):016x}"
    if parent and (trace := traces.trace_of(parent)):
        return f"00-{trace}-{span}-{parent[-2:]}"
    return f"00-{random.randrange(1, 1 << 128):032x}-{span}-01"


def begin(actor: str, jobs: Iterable[Claimed]) -> dict[int, Span]:
    """Begin a span for each job of an attempt, by its id."""
    return {
        job.id: Span(
            actor,
            job.traceparent,
            "CONSUMER",
            **{"aura.job": job.id, "aura.key": job.key, "aura.try": job.attempts},
        )
        for job in jobs
    }


def link(job: Claimed, traceparents: Iterable[str]) -> None:
    """Link the span of a running job to the spans that caused it."""
    for attempt in list(process_state.attempts.values()):
        if attempt is not None and job.id in attempt.spans:
            attempt.spans[job.id].link(traceparents)


class Tracing(Middleware):
    """Ends each span with the outcome of its job, and exports the last spans at the shutdown."""

    def after_worker_shutdown(self, broker: Broker, worker: Worker) -> None:
        flush()

    def after_attempt(self, attempt: Attempt) -> None:
        """End the spans of the attempt."""
        errors: dict[int, BaseException] = {job.id: error for job, error, _ in attempt.retried}
        errors |= {job.id: error for job, error in attempt.dead}
        completed = {job.id for job in attempt.completed}
        for job_id, span in attempt.spans.items():
            error = errors.get(job_id)
            span.end(type(error).__name__ if error else "" if job_id in completed else "released")
        attempt.spans = {}


#: Milliseconds for the export of a process's last spans.
FLUSH_WITHIN = 3000
_providers: list[Any] = []


def flush() -> None:
    """Export the spans that have ended; a forked process runs no exit handler that would."""
    for provider in _providers:
        provider.force_flush(FLUSH_WITHIN)


@lru_cache(maxsize=1)
def _tracer(settings: Settings) -> Any:
    """Return OpenTelemetry's tracer. Raises SettingsError when AURA_TRACES needs a package that is not installed."""
    try:
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter, SimpleSpanProcessor

        provider = TracerProvider(resource=Resource.create({"service.name": "aura"}))
        if settings.traces == "console":
            provider.add_span_processor(SimpleSpanProcessor(ConsoleSpanExporter(out=sys.stdout, formatter=_line)))
        else:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

            provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    except ImportError as error:
        raise SettingsError(
            f"AURA_TRACES={settings.traces} needs OpenTelemetry ({error.name}): pip install 'aura-desk[tracing]'"
        ) from None
    _providers[:] = [provider]
    return provider.get_tracer("aura")


def _line(span: Any) -> str:
    text: str = span.to_json(indent=None)
    return text + "\n"
