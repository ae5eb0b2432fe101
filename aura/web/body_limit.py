"""Body limit: refuses request bodies that are too large or too slow, before anything is parsed."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from aura.web.problems import answer

#: The most bytes of a request body.
BODY_LIMIT = 1_000_000
#: Seconds within which a body must arrive.
BODY_SECONDS = 30.0
#: Paths that stream their body, with limits of their own.
STREAMED = frozenset({"/api/v1/tickets/bulk"})
STREAMED_UPLOADS = re.compile(r"/api/v1/tickets/\d+/attachments")


class BodyLimit:
    """Middleware: answers 413 to a body that is too large, announced or not, and 408 to one that does not arrive.

    `larger` maps a path to another limit and the name of the setting that it comes from.
    """

    def __init__(self, app: ASGIApp, larger: Mapping[str, tuple[int, str]] | None = None) -> None:
        self.app, self.larger = app, larger or {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and ("\0" in scope["path"] or b"%00" in scope["query_string"]):
            # no database stores NUL, and PostgreSQL refuses it even in a comparison
            await answer(Request(scope), 422, "the URL must not contain the character NUL")(scope, receive, send)
            return
        if scope["type"] != "http" or scope["path"] in STREAMED or _is_upload(scope):
            await self.app(scope, receive, send)
            return
        limit, setting = self.larger.get(scope["path"], (BODY_LIMIT, ""))
        announced = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        chunks: list[bytes] = []
        size = int(announced) if announced.isdigit() else 0
        if size <= limit:
            size, more = 0, True
            try:
                async with asyncio.timeout(BODY_SECONDS):
                    while more and size <= limit:
                        message = await receive()
                        if message["type"] == "http.disconnect":
                            return
                        chunks.append(message.get("body", b""))
                        size += len(chunks[-1])
                        more = message.get("more_body", False)
            except TimeoutError:
                detail = f"the body did not arrive within {BODY_SECONDS:g} seconds"
                await answer(Request(scope), 408, detail, {"Connection": "close"})(scope, receive, send)
                return
        if size > limit:
            detail = f"the body has more than {limit} bytes" + (f" ({setting})" if setting else "")
            await answer(Request(scope), 413, detail)(scope, receive, send)
            return
        body = b"".join(chunks)
        sent = False

        async def receive_body() -> Message:
            nonlocal sent
            if sent:
                return await receive()
            sent = True
            return {"type": "http.request", "body": body, "more_body": False}

        await self.app(scope, receive_body, send)


def _is_upload(scope: Scope) -> bool:
    """Return whether the route reads the body in parts. A form is read as a whole, for its CSRF token."""
    if scope["method"] != "POST" or not STREAMED_UPLOADS.fullmatch(scope["path"]):
        return False
    content_type = next((value for name, value in scope["headers"] if name == b"content-type"), b"")
    return not content_type.strip().lower().startswith(b"application/x-www-form-urlencoded")
