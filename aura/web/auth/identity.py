"""Identity of the sender of a request: by API key, by session, or by open access.

A program sends `Authorization: Bearer aura_...`. A browser sends its session cookie, and a CSRF token with each change.
Open access exists in development until the first API key is created: a request needs neither when it comes from the
loopback address, names a loopback host (a page on the web cannot make a browser do that), and passed no proxy.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cachetools import TTLCache
from fastapi import HTTPException, Request
from starlette.concurrency import run_in_threadpool

from aura.settings import SettingsError, get_settings
from aura.web.auth.csrf import SAFE_METHODS, require_token, same_origin
from aura.web.auth.sessions import LOOPBACK, session_token
from db import api_keys, reading, transaction, users
from db.api_keys import SCOPES, ValidKey
from db.audit import Actor
from db.database import engine

#: Seconds until a revoked key, or the first key, takes effect in every process.
CACHE_SECONDS = 1.0
#: Valid keys by (database, secret), and whether a key exists by database.
_valid_keys: TTLCache[tuple[Any, str], ValidKey] = TTLCache(1000, CACHE_SECONDS)
_keys_exist: TTLCache[Any, bool] = TTLCache(4, CACHE_SECONDS)


@dataclass(frozen=True, slots=True)
class Identity(Actor):
    """Who sends a request, with the scopes granted to them."""

    scopes: frozenset[str] = frozenset()
    #: The CSRF token of the session; empty for a program.
    csrf: str = ""


async def identify(request: Request, key: str | None) -> Identity:
    """Return who sends the request. Raises HTTPException 401, and Forbidden for a change without the CSRF token."""
    address = request.client.host if request.client else ""
    if key is not None or "authorization" in request.headers:
        valid = await _valid_key(key or "")
        if valid is not None:
            return Identity(f"key {valid.name}", address, valid.scopes)
    elif token := session_token(request):
        session = await run_in_threadpool(_session, token)
        if session is not None:
            if request.method not in SAFE_METHODS:
                await require_token(request, session.csrf)
            return Identity(f"user {session.user}", address, frozenset(users.ROLES[session.role]), session.csrf)
    elif is_local(request) and await open_access():
        return Identity("local", address, frozenset(SCOPES))
    raise HTTPException(401, "authentication required: send an API key or log in", {"WWW-Authenticate": "Bearer"})


def is_local(request: Request) -> bool:
    """Return whether the request comes from this machine, past no proxy, and from no page of another site."""
    proxied = {"forwarded", "x-forwarded-for", "x-real-ip"} & set(request.headers.keys())
    address = request.client.host if request.client else ""
    return address in LOOPBACK and (request.url.hostname or "") in LOOPBACK and not proxied and same_origin(request)


async def open_access() -> bool:
    """Return whether requests of this machine need neither key nor session: in development without any API key."""
    if get_settings().production:
        return False
    exist = _keys_exist.get(engine())
    if exist is None:
        exist = _keys_exist[engine()] = await run_in_threadpool(_any_key)
    return not exist


def access_mode() -> str:
    """Return a sentence about who has access, for the log. Raises SettingsError in production when nobody has."""
    with reading() as session:
        any_key, usable = api_keys.any_created(session), api_keys.any_live(session) or users.any_active(session)
    if get_settings().production and not usable:
        raise SettingsError(
            "AURA_ENV=production needs an API key or a user: `aura api-keys create NAME --scope submit` creates a key for "
            "a program, `aura users create NAME --role admin` a user"
        )
    if get_settings().production or any_key:
        return "Access with API keys and sessions."
    return "Open access from this machine, without key or login, until the first API key is created."


async def _valid_key(secret: str) -> ValidKey | None:
    cached = (engine(), secret)
    valid = _valid_keys.get(cached)
    if valid is None:
        valid = await run_in_threadpool(_find_key, secret)
        if valid is not None:
            _valid_keys[cached] = valid
    return valid


def _find_key(secret: str) -> ValidKey | None:
    with reading() as session:
        found = api_keys.find(session, secret)
    if found is None:
        return None
    valid, use_is_old = found
    if use_is_old:
        with transaction() as session:
            api_keys.record_use(session, valid.id)
    return valid


def _any_key() -> bool:
    with reading() as session:
        return api_keys.any_created(session)


def _session(token: str) -> users.ActiveSession | None:
    with reading() as session:
        return users.active_session(session, token)
