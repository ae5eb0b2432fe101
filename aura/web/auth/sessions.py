"""Session cookies: set, read and delete. The cookie holds a random token, the database its digest."""

from __future__ import annotations

from fastapi import Request, Response

from aura.settings import get_settings
from db import audit, user_sessions
from db.audit import Actor

#: The session cookie over http on this machine, and over https.
COOKIE, SECURE_COOKIE = "aura_session", "__Host-aura_session"
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


def is_secure(request: Request) -> bool:
    """Return whether browsers reach this process over https."""
    return request.url.scheme == "https" or get_settings().base_url.startswith("https://")


def set_session_cookie(response: Response, token: str, secure: bool) -> None:
    """Set the cookie of a session that has just started."""
    response.set_cookie(
        SECURE_COOKIE if secure else COOKIE,
        token,
        max_age=int(user_sessions.SESSION_SECONDS),
        path="/",
        secure=secure,
        httponly=True,
        samesite="lax",
    )


def log_out(request: Request, response: Response, who: Actor) -> None:
    """End the session of the request, and delete its cookie."""
    if token := session_token(request):
        with audit.acting(who, "login.end", who.name.replace(" ", "/", 1)) as session:
            user_sessions.log_out(session, token)
    response.delete_cookie(COOKIE, path="/", httponly=True, samesite="lax")
    response.delete_cookie(SECURE_COOKIE, path="/", secure=True, httponly=True, samesite="lax")


def session_token(request: Request) -> str | None:
    """Return the token of the request's session cookie. Over https it is the cookie that no other host can set."""
    return request.cookies.get(SECURE_COOKIE if is_secure(request) else COOKIE)
