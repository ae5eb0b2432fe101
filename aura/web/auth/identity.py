"""Access: who asks, and whether they may. Every route says what it needs; one that says nothing stops the process.

A program sends `Authorization: Bearer aura_...`. A browser has a cookie, and brings its CSRF token along with whatever
changes something. Neither is needed on the machine itself in development, until the first key is made: then a request
must come from loopback, name loopback as its host (no page on the web can have a browser do that), and pass no proxy.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import parse_qs, urlsplit

from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.routing import iter_route_contexts
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.concurrency import run_in_threadpool

from aura.jobs.ttl_cache import TTLCache
from aura.settings import SettingsError, get_settings
from db import api_keys, reading, transaction, users
from db.api_keys import SCOPES, Known
from db.audit import Actor
from db.database import engine

#: Seconds for which a key that was good is taken to be good, and the keys remembered.
FRESH, REMEMBERED = 1.0, 1000
#: What is open to everybody: it says nothing of tickets, or a signature says who sends it.
OPEN = frozenset(
    {"/health/live", "/health/ready", "/openapi.json", "/login", "/api/v1/login", "/api/v1/intake/email", "/static"}
)
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
COOKIE, SAFE_COOKIE = "aura_login", "__Host-aura_login"
CSRF_HEADER, CSRF_FIELD = "X-CSRF-Token", "csrf"

_bearer = HTTPBearer(auto_error=False, description="A key of `aura keys create`.")


@dataclass(frozen=True, slots=True)
class Identity(Actor):
    """Who asks, and what they may."""

    scopes: frozenset[str] = frozenset()
    #: What a browser's forms must bring along; empty for a program.
    csrf: str = ""


class Needs:
    """The dependency by which a route says which scope it needs."""

    def __init__(self, scope: str) -> None:
        self.scope = scope

    async def __call__(
        self, request: Request, bearer: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
    ) -> Identity:
        who = await identify(request, bearer.credentials if bearer else None)
        if self.scope not in who.scopes:
            raise HTTPException(403, f"{who.name} may not do this: it needs the scope {self.scope}")
        request.state.who = who
        return who


MAY_READ, MAY_ADMIN = Depends(Needs("read")), Depends(Needs("admin"))
Reader = Annotated[Identity, MAY_READ]
Submitter = Annotated[Identity, Depends(Needs("submit"))]
Operator = Annotated[Identity, Depends(Needs("operate"))]
Admin = Annotated[Identity, Depends(Needs("admin"))]


async def identify(request: Request, key: str | None) -> Identity:
    """Return who asks. Raises HTTPException 401, and 403 for a browser without its CSRF token."""
    address = request.client.host if request.client else ""
    if key is not None or "authorization" in request.headers:
        known = await _known(key or "")
        if known is not None:
            return Identity(f"key {known.name}", address, known.scopes)
    elif token := cookie(request):
        browser = await run_in_threadpool(_logged_in, token)
        if browser is not None:
            if request.method not in ("GET", "HEAD", "OPTIONS"):
                await _check_csrf(request, browser.csrf)
            return Identity(f"user {browser.user}", address, frozenset(users.ROLES[browser.role]), browser.csrf)
    elif local(request) and await _open():
        return Identity("local", address, frozenset(SCOPES))
    raise HTTPException(
        401, "this needs a key that is good, `aura keys create` makes one, or a login", {"WWW-Authenticate": "Bearer"}
    )


def cookie(request: Request) -> str | None:
    """Return the token of a browser's login."""
    return request.cookies.get(SAFE_COOKIE) or request.cookies.get(COOKIE)


def local(request: Request) -> bool:
    """Return whether the request comes from this machine, and from no page of somebody else."""
    proxied = {"forwarded", "x-forwarded-for", "x-real-ip"} & set(request.headers.keys())
    address = request.client.host if request.client else ""
    return address in LOOPBACK and (request.url.hostname or "") in LOOPBACK and not proxied and same_origin(request)


def same_origin(request: Request) -> bool:
    """Return whether no other site has a browser send this."""
    origin = request.headers.get("origin")
    if request.headers.get("sec-fetch-site") not in (None, "same-origin", "none"):
        return False
    return origin is None or urlsplit(origin).netloc == request.headers.get("host")


async def _check_csrf(request: Request, csrf: str) -> None:
    given = request.headers.get(CSRF_HEADER, "")
    if not given and request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        given = parse_qs((await request.body()).decode("utf-8", "replace")).get(CSRF_FIELD, [""])[0]
    if not secrets.compare_digest(given.encode(), csrf.encode()) or not same_origin(request):
        raise HTTPException(403, f"the CSRF token is missing or old: send it as {CSRF_HEADER}, or load the page again")


_good: dict[str, tuple[float, Any, Known]] = {}


async def _known(key: str) -> Known | None:
    found = _good.get(key)
    if found is None or time.monotonic() - found[0] > FRESH or found[1] is not engine():
        _good.pop(key, None)
        known = await run_in_threadpool(_find, key)
        if known is None:
            return None
        if len(_good) >= REMEMBERED:
            _good.clear()
        found = _good[key] = (time.monotonic(), engine(), known)
    return found[2]


def _find(key: str) -> Known | None:
    with reading() as session:
        found = api_keys.find(session, key)
    if found is None:
        return None
    known, stale = found
    if stale:
        with transaction() as session:
            api_keys.used(session, known.id)
    return known


def _logged_in(token: str) -> users.ActiveSession | None:
    with reading() as session:
        return users.logged_in(session, token)


_any_key = TTLCache(FRESH, api_keys.any_made)


async def _open() -> bool:
    if get_settings().production:
        return False
    made = _any_key.recent(engine())
    return not (await run_in_threadpool(_made) if made is None else made)


def _made() -> bool:
    with reading() as session:
        return _any_key(session)


def how() -> str:
    """Return the sentence that says who may use the API. Raises SettingsError in production when nobody could."""
    with reading() as session:
        made, usable = api_keys.any_made(session), api_keys.any_live(session) or users.any_active(session)
    if get_settings().production and not usable:
        raise SettingsError(
            "production needs somebody who may ask: `aura keys create NAME --scope submit` makes a key for a program, "
            "`aura users create NAME --role admin` lets somebody log in"
        )
    if get_settings().production or made:
        return "The API takes keys and logins: aura keys list, aura users list."
    return "From this machine alone it is open without key or login, until you make the first key: aura keys create."


def check(app: FastAPI) -> None:
    """Refuse to start with a route that does not say what it needs."""
    for path, method, scope in table(app):
        if scope is None and path not in OPEN:
            raise RuntimeError(
                f"{method} {path} says not what it needs: give it a Reader, Submitter, Operator or Admin"
            )


def table(app: FastAPI) -> Iterator[tuple[str, str, str | None]]:
    """Return every route's path, method and scope; None is open."""
    for route in iter_route_contexts(app.routes):
        dependant = getattr(route, "dependant", None)
        for method in sorted(getattr(route, "methods", None) or {"*"}):
            yield getattr(route, "path", ""), method, _scope(dependant) if dependant else None


def _scope(dependant: Any) -> str | None:
    if isinstance(dependant.call, Needs):
        return dependant.call.scope
    return next((found for each in dependant.dependencies if (found := _scope(each))), None)
