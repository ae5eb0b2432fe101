"""CSRF protection: the same-origin check, and the token that a session's requests send with each change."""

from __future__ import annotations

import secrets
from urllib.parse import parse_qs, urlsplit

from fastapi import Request

from aura.errors import Forbidden

#: Where the token is sent: a header, or a field of a form.
CSRF_HEADER, CSRF_FIELD = "X-CSRF-Token", "csrf"
#: Methods that change nothing and need no token.
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


def same_origin(request: Request) -> bool:
    """Return whether no page of another site made the browser send this request."""
    if request.headers.get("sec-fetch-site") not in (None, "same-origin", "none"):
        return False
    origin = request.headers.get("origin")
    return origin is None or urlsplit(origin).netloc == request.headers.get("host")


async def require_token(request: Request, token: str) -> None:
    """Raise Forbidden unless the request comes from this site and carries the session's token."""
    sent = request.headers.get(CSRF_HEADER, "")
    if not sent and request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        sent = parse_qs((await request.body()).decode("utf-8", "replace")).get(CSRF_FIELD, [""])[0]
    if not secrets.compare_digest(sent.encode(), token.encode()) or not same_origin(request):
        raise Forbidden(f"the CSRF token is missing or invalid: send it as {CSRF_HEADER}, or reload the page")
