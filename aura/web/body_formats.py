"""Formats of request bodies: 415 for a compressed body and for another charset than UTF-8 (RFC 9110, 15.5.16)."""

from __future__ import annotations

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from aura.web.media_types import FORM, JSON_LINES, UTF_8, media_type_of, names_json
from aura.web.problems import answer


class BodyFormats:
    """Middleware: answers 415 to a body that is compressed, or whose text is declared in another charset than UTF-8."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refused = (
            _refused(Request(scope)) if scope["type"] == "http" and scope["method"] not in ("GET", "HEAD") else None
        )
        if refused is None:
            await self.app(scope, receive, send)
            return
        detail, headers = refused
        await answer(Request(scope), 415, detail, headers)(scope, receive, send)


def _refused(request: Request) -> tuple[str, dict[str, str]] | None:
    """Return the detail and the headers of the 415 response to the body's headers; None when they are accepted."""
    coding = request.headers.get("content-encoding", "").strip().lower()
    if coding not in ("", "identity"):
        detail = f"Content-Encoding: {coding[:40]} is not supported; send the body without compression"
        return detail, {"Accept-Encoding": "identity"}
    media_type, charset = media_type_of(request)
    if (names_json(media_type) or media_type in (*JSON_LINES, FORM)) and charset and charset not in UTF_8:
        return f"Content-Type: the charset must be UTF-8, not {charset[:40]}", {"Accept": media_type}
    return None
