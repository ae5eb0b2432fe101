"""Tracing of requests: what a request promises belongs to its span, and its log lines name the trace.

A request that only reads promises nothing, and gets no span.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import bound_contextvars

from aura.jobs.tracing import Span
from db import traces

READS = frozenset({"GET", "HEAD", "OPTIONS"})


class RequestTracing:
    """Begins a span for each request that may change something, below the one that its `traceparent` names."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in READS:
            await self.app(scope, receive, send)
            return
        method, status = scope["method"], 500
        span = Span(method, Request(scope).headers.get("traceparent"), "SERVER", **{"http.request.method": method})

        async def watched(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        try:
            with traces.within(span.traceparent), bound_contextvars(traces=[traces.trace_of(span.traceparent)]):
                await self.app(scope, receive, watched)
        finally:
            # the route, which is known now, and not the path: that holds numbers
            route = getattr(scope.get("route"), "path", "")
            span.name(f"{method} {route}".strip())
            span.end(str(status) if status >= 500 else "", **{"http.response.status_code": status, "http.route": route})
