"""Sessions: log in and log out. The cookie holds a random token, the database its digest; API and pages share them."""

from __future__ import annotations

import asyncio

from fastapi import HTTPException, Request, Response
from starlette.concurrency import run_in_threadpool

from aura.errors import Forbidden, TooManyRequests
from aura.settings import get_settings
from aura.web.auth.csrf import same_origin
from db import audit, reading, transaction, users
from db.audit import Actor

#: The session cookie over http on this machine, and over https.
COOKIE, SECURE_COOKIE = "aura_session", "__Host-aura_session"
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
#: Logins that wait in one process. A password hash takes 64 MB and a core for a moment, so one is verified at a time.
MAX_WAITING = 10


class Login:
    """Verifies the passwords of one web process, one after the other."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._waiting = 0

    async def log_in(self, request: Request, response: Response, name: str, password: str) -> users.ActiveSession:
        """Start a session and set its cookie on the response.

        Raises HTTPException 401 for a wrong name or password, Forbidden for a request of another site or over plain http
        from another machine, TooManyRequests after many failures.
        """
        if not same_origin(request):
            raise Forbidden("this login was sent by another site")
        secure = request.url.scheme == "https" or get_settings().base_url.startswith("https://")
        if not secure and request.url.hostname not in LOOPBACK:
            raise Forbidden("log in over https: passwords are not accepted over http")
        if self._waiting >= MAX_WAITING:
            raise TooManyRequests("too many logins at the same time; try again in a few seconds", retry_after=5)
        self._waiting += 1
        try:
            async with self._lock:
                address = request.client.host if request.client else ""
                token, session = await run_in_threadpool(_log_in, name, password, address)
        finally:
            self._waiting -= 1
        response.set_cookie(
            SECURE_COOKIE if secure else COOKIE,
            token,
            max_age=int(users.SESSION_SECONDS),
            path="/",
            secure=secure,
            httponly=True,
            samesite="lax",
        )
        return session


def log_out(request: Request, response: Response, who: Actor) -> None:
    """End the session of the request, and delete its cookie."""
    if token := session_token(request):
        with audit.acting(who, "login.end", who.name.replace(" ", "/", 1)) as session:
            users.log_out(session, token)
    response.delete_cookie(COOKIE, path="/", httponly=True, samesite="lax")
    response.delete_cookie(SECURE_COOKIE, path="/", secure=True, httponly=True, samesite="lax")


def session_token(request: Request) -> str | None:
    """Return the token of the request's session cookie."""
    return request.cookies.get(SECURE_COOKIE) or request.cookies.get(COOKIE)


def _log_in(name: str, password: str, address: str) -> tuple[str, users.ActiveSession]:
    who = Actor(f"user {name}", address)
    with reading() as session:
        user = users.authenticate(session, name, password, address)
    if user is None:
        with transaction() as session:
            audit.record(session, who, users.REFUSED, f"user/{name}", {})
        raise HTTPException(401, "wrong name or password")
    with audit.acting(who, "login.begin", f"user/{user.name}") as session:
        return users.log_in(session, user)
