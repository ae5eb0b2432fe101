"""Security headers: Content-Security-Policy and others on every response."""

from __future__ import annotations

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from aura.settings import get_settings

#: No inline code, nothing of other sites, no frames.
CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "font-src 'self'; manifest-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": CSP,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
#: Cache-Control of all responses but the static files: they may contain tickets.
PRIVATE = "no-store"


def _make_relative(headers: MutableHeaders) -> None:
    """Remove scheme and host from the redirect of a path with one slash too many: they are those of the Host header."""
    location = headers.get("location", "")
    if location.startswith(("http://", "https://")):
        path = "/" + location.split("/", 3)[3].lstrip("/") if location.count("/") > 2 else "/"
        headers["location"] = path


class SecurityHeaders:
    """Middleware: adds the headers to every response, errors included."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        https = get_settings().base_url.startswith("https://")

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                if message["status"] == 307:
                    _make_relative(headers)
                if not scope["path"].startswith("/static/"):
                    headers.setdefault("Cache-Control", PRIVATE)
                if scope.get("scheme") == "https" or https:
                    headers.setdefault("Strict-Transport-Security", "max-age=31536000")
            await send(message)

        await self.app(scope, receive, send_with_headers if scope["type"] == "http" else send)
