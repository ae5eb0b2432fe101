"""CSRF protection: the same-origin check, and the token that a session's requests send with each change."""

from __future__ import annotations

import secrets
from urllib.parse import parse_qs, urlsplit

from fastapi import Request

from aura.errors import Forbidden
from aura.settings import get_settings

#: Where the token is sent: a header, or a field of a form.
CSRF_HEADER, CSRF_FIELD = "X-CSRF-Token", "csrf"
#: Methods that change nothing and need no token.
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


def same_origin(request: Request) -> bool:
    """Return whether no page of another site made the browser send this request.

    The origin is that of the Host header or of AURA_BASE_URL: a proxy may send another Host to this process.
    """
    if request.headers.get("sec-fetch-site") not in (None, "same-origin", "none"):
        return False
    origin = request.headers.get("origin")
    return origin is None or host_of(origin) in (request.headers.get("host"), host_of(get_settings().base_url))


def host_of(url: str) -> str | None:
    """Return host and port of a URL as the Host header has them; None for what is no URL."""
    try:
        return urlsplit(url).netloc or None
    except ValueError:
        return None


async def require_token(request: Request, token: str) -> None:
    """Raise Forbidden unless the request comes from this site and carries the session's token."""
    sent = request.headers.get(CSRF_HEADER, "")
    if not sent and request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        sent = parse_qs((await request.body()).decode("utf-8", "replace")).get(CSRF_FIELD, [""])[0]
    if not secrets.compare_digest(sent.encode("utf-8", "replace"), token.encode()):
        raise Forbidden(f"the CSRF token is missing or invalid: send it as {CSRF_HEADER}, or reload the page")
    if not same_origin(request):
        raise Forbidden(other_site(request))


def other_site(request: Request) -> str:
    """Return the message for a request of another site, which names the setting that a proxy needs."""
    return (
        "the request was sent by a page of another site; behind a proxy, set AURA_BASE_URL to the address that "
        "browsers show, such as https://desk.example.com"
    )
