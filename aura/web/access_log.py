"""Access log: one line for each request if AURA_ACCESS_LOG is set, with the route instead of the path.

A path may contain a token or a name, and a query is somebody's search: neither is logged. uvicorn's own access log is off.
"""

from __future__ import annotations

import time

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from aura.settings import get_settings

logger = structlog.get_logger("aura.web.access")


class AccessLog:
    """Middleware: logs method, route, status, milliseconds and the client's address."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not get_settings().access_log:
            await self.app(scope, receive, send)
            return
        started, status = time.perf_counter(), 500

        async def send_and_note_status(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        try:
            await self.app(scope, receive, send_and_note_status)
        finally:
            logger.info(
                "request",
                method=scope["method"] if scope["method"].isalpha() and len(scope["method"]) < 20 else "?",
                route=getattr(scope.get("route"), "path", ""),
                status=status,
                ms=round((time.perf_counter() - started) * 1000, 1),
                client=(scope.get("client") or ("",))[0],
            )
