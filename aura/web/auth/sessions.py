"""Logging in and out: a random token in a cookie, its digest in the database. The API and the pages share it."""

from __future__ import annotations

import asyncio

from fastapi import HTTPException, Request, Response
from starlette.concurrency import run_in_threadpool

from aura.settings import get_settings
from aura.web.auth.identity import COOKIE, LOOPBACK, SAFE_COOKIE, cookie, same_origin
from db import audit, reading, transaction, users
from db.audit import Actor

#: Attempts that wait for their turn in one process: a password takes 64 MB and a core for a moment, so one at a time.
WAITING = 10


class Login:
    """Lets one attempt after the other try its password."""

    def __init__(self) -> None:
        self._turn = asyncio.Lock()
        self._waiting = 0

    async def log_in(self, request: Request, response: Response, name: str, password: str) -> users.ActiveSession:
        """Log the browser in. Raises HTTPException 401, 403 over plain http from elsewhere, 429 after many failures."""
        if not same_origin(request):
            raise HTTPException(403, "another site may not log you in")
        secure = _secure(request)
        if not secure and request.url.hostname not in LOOPBACK:
            raise HTTPException(
                403, "passwords go over https alone: put a proxy in front, and set AURA_BASE_URL to https://"
            )
        if self._waiting >= WAITING:
            raise HTTPException(429, "many people log in just now; try again", {"Retry-After": "5"})
        self._waiting += 1
        try:
            async with self._turn:
                address = request.client.host if request.client else ""
                token, browser = await run_in_threadpool(_log_in, name, password, address)
        finally:
            self._waiting -= 1
        response.set_cookie(
            SAFE_COOKIE if secure else COOKIE,
            token,
            max_age=int(users.SESSION_SECONDS),
            path="/",
            secure=secure,
            httponly=True,
            samesite="lax",
        )
        return browser


def log_out(request: Request, response: Response, who: Actor) -> None:
    """End the browser's login."""
    if token := cookie(request):
        with audit.acting(who, "login.end", who.name.replace(" ", "/", 1)) as session:
            users.log_out(session, token)
    response.delete_cookie(COOKIE, path="/", httponly=True, samesite="lax")
    response.delete_cookie(SAFE_COOKIE, path="/", secure=True, httponly=True, samesite="lax")


def _secure(request: Request) -> bool:
    return request.url.scheme == "https" or get_settings().base_url.startswith("https://")


def _log_in(name: str, password: str, address: str) -> tuple[str, users.ActiveSession]:
    who = Actor(f"user {name}", address)
    try:
        with reading() as session:
            candidate = users.check(session, name, password, address)
    except users.Throttled:
        wait = {"Retry-After": str(int(users.WITHIN))}
        raise HTTPException(429, "too many attempts failed; wait a quarter of an hour", wait) from None
    if candidate is None:
        with transaction() as session:
            audit.record(session, who, users.REFUSED, f"user/{name}", {})
        raise HTTPException(401, "name or password are wrong")
    with audit.acting(who, "login.begin", f"user/{candidate.name}") as session:
        return users.log_in(session, candidate)
