"""Request tracing: a span for each request that may change something. Its jobs belong to it; its log lines name the trace."""

from __future__ import annotations

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import bound_contextvars

from aura.jobs.tracing import Span
from aura.web.auth.csrf import SAFE_METHODS
from db import traces


class RequestTracing:
    """Middleware: starts a span below the one that the header `traceparent` names."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in SAFE_METHODS:
            await self.app(scope, receive, send)
            return
        method, status = scope["method"], 500
        span = Span(method, Request(scope).headers.get("traceparent"), "SERVER", **{"http.request.method": method})

        async def send_and_note_status(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        try:
            with traces.within(span.traceparent), bound_contextvars(traces=[traces.trace_of(span.traceparent)]):
                await self.app(scope, receive, send_and_note_status)
        finally:
            # the route and not the path, whose ids would make each span name unique
            route = getattr(scope.get("route"), "path", "")
            span.name(f"{method} {route}".strip())
            span.end(str(status) if status >= 500 else "", **{"http.response.status_code": status, "http.route": route})
