"""Tracing: a span for each request and each job, child of the one that promised it, so that a journey is one trace.

The ids ride in the jobs and stand in the log whether or not spans are exported. AURA_TRACES=otlp exports them (the extra
`aura-desk[tracing]`; OTEL_EXPORTER_OTLP_ENDPOINT and its like say where to), AURA_TRACES=console prints them.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from dramatiq import Broker, Middleware, Worker
from dramatiq.broker import MessageProxy

from aura.jobs import attempt as attempts
from aura.settings import Settings, SettingsError, get_settings
from db import traces
from db.jobs import Claimed


class Span:
    """One piece of work: where it stands in its trace, and its twin in OpenTelemetry when spans are exported."""

    __slots__ = ("_span", "traceparent")

    def __init__(self, name: str, parent: str | None, kind: str, **attributes: Any) -> None:
        self._span: Any = None
        settings = get_settings()
        if settings.traces == "off":
            self.traceparent = traces.child(parent)
            return
        from opentelemetry.trace import SpanKind
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        propagator, carrier = TraceContextTextMapPropagator(), dict[str, str]()
        above = propagator.extract({"traceparent": parent} if parent else {})
        self._span = _tracer(settings).start_span(name, above, SpanKind[kind], attributes, start_time=time.time_ns())
        from opentelemetry.trace import set_span_in_context

        propagator.inject(carrier, set_span_in_context(self._span))
        self.traceparent = carrier["traceparent"]

    def name(self, name: str) -> None:
        """Name the span anew, when what it is about is known only now."""
        if self._span is not None:
            self._span.update_name(name)

    def link(self, traceparents: Iterable[str]) -> None:
        """Name spans of other traces that this one goes back to."""
        if self._span is not None:
            from opentelemetry.trace import get_current_span
            from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

            propagator = TraceContextTextMapPropagator()
            for each in traceparents:
                self._span.add_link(get_current_span(propagator.extract({"traceparent": each})).get_span_context())

    def end(self, error: str = "", **attributes: Any) -> None:
        """End the span, as failed when there is an error."""
        if self._span is not None:
            from opentelemetry.trace import Status, StatusCode

            self._span.set_attributes(attributes)
            if error:
                self._span.set_status(Status(StatusCode.ERROR, error))
            self._span.end()


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
    """Link the span of a job that this thread works on to those that it goes back to."""
    attempt = attempts.current()
    if attempt is not None and job.id in attempt.spans:
        attempt.spans[job.id].link(traceparents)


class Tracing(Middleware):
    """Ends the spans of an attempt when it is decided what became of each job, and exports the last at the end."""

    def after_worker_shutdown(self, broker: Broker, worker: Worker) -> None:
        flush()

    def after_process_message(
        self, broker: Broker, message: MessageProxy, *, result: Any = None, exception: BaseException | None = None
    ) -> None:
        attempt = attempts.current()
        if attempt is None or not attempt.spans:
            return
        errors: dict[int, BaseException] = {job.id: error for job, error, _ in attempt.retried}
        errors |= {job.id: error for job, error in attempt.given_up}
        kept = {job.id for job in attempt.completed}
        for job_id, span in attempt.spans.items():
            error = errors.get(job_id)
            span.end(type(error).__name__ if error else "" if job_id in kept else "handed back")
        attempt.spans = {}

    after_skip_message = after_process_message


#: Milliseconds that the last spans of a process may take on their way.
FLUSH_WITHIN = 3000
_providers: list[Any] = []


def flush() -> None:
    """Export the spans that have ended and wait in this process; a forked one runs nothing when it exits."""
    for provider in _providers:
        provider.force_flush(FLUSH_WITHIN)


@lru_cache(maxsize=1)
def _tracer(settings: Settings) -> Any:
    """Return OpenTelemetry's tracer. Raises SettingsError when AURA_TRACES asks for what is not installed."""
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
