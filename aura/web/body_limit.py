"""Limits on what a request may carry, enforced before anything is parsed."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from aura.web.problems import answer

#: The longest request body, in bytes.
BODY_LIMIT = 1_000_000
#: Seconds within which a body must have arrived.
BODY_SECONDS = 30.0
#: What reads its body a line at a time, with limits of its own.
STREAMED = frozenset({"/api/v1/tickets/bulk"})


class BodyLimit:
    """Answers 413 to a longer body, announced or not, and 408 to one that does not arrive, and reads no more of it.

    `larger` holds other limits by path, each with the setting that it comes from.
    """

    def __init__(self, app: ASGIApp, larger: Mapping[str, tuple[int, str]] | None = None) -> None:
        self.app, self.larger = app, larger or {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and ("\0" in scope["path"] or b"%00" in scope["query_string"]):
            # no database stores it, and PostgreSQL cannot even compare with it
            refused = answer(Request(scope), 422, "Not valid", "an address must not hold the character NUL")
            await refused(scope, receive, send)
            return
        if scope["type"] != "http" or scope["path"] in STREAMED:
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
                detail = f"a request must have arrived within {BODY_SECONDS:g} seconds"
                await answer(Request(scope), 408, "Too slow", detail, {"Connection": "close"})(scope, receive, send)
                return
        if size > limit:
            detail = f"a request may have {limit} bytes" + (f" ({setting})" if setting else "")
            await answer(Request(scope), 413, "Too large", detail)(scope, receive, send)
            return
        body = b"".join(chunks)
        given = False

        async def replay() -> Message:
            nonlocal given
            if given:
                return await receive()
            given = True
            return {"type": "http.request", "body": body, "more_body": False}

        await self.app(scope, replay, send)
