"""HEAD requests: every path that answers GET answers HEAD with the same headers and without a body (RFC 9110, 9.3.2)."""

from __future__ import annotations

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class HeadRequests:
    """Middleware: handles HEAD as GET and discards the body; a streamed body is not produced."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self.app(scope, receive, send)
            return
        complete = False

        async def send_headers(message: Message) -> None:
            nonlocal complete
            if message["type"] != "http.response.body":
                await send(message)
                return
            if not complete:
                complete = True
                await send({"type": "http.response.body", "body": b""})
            if message.get("more_body"):
                # a stream of changes would go on for minutes; Starlette ends a stream on an OSError of `send`
                raise OSError("the response to HEAD is complete")

        try:
            # a copy: the server decides by its own scope that the response has no body
            await self.app({**scope, "method": "GET", "head": True}, receive, send_headers)
        except (ClientDisconnect, OSError):
            if not complete:
                raise
