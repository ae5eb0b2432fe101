"""Identity of the sender of a request: by API key or by session. Nobody has access without one of them.

A program sends `Authorization: Bearer aura_...`. A browser sends its session cookie, and a CSRF token with each change.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cachetools import TTLCache
from fastapi import HTTPException, Request
from starlette.concurrency import run_in_threadpool

from aura.errors import Forbidden
from aura.settings import SettingsError, get_settings
from aura.web.auth.csrf import SAFE_METHODS, require_token
from aura.web.auth.security_events import events
from aura.web.auth.sessions import session_token
from db import api_keys, reading, transaction, user_sessions, users
from db.api_keys import ValidKey
from db.audit import Actor
from db.database import engine
from db.user_sessions import ActiveSession

#: Seconds until a revoked key takes effect in every process.
CACHE_SECONDS = 1.0
#: Valid keys by (database, secret).
_valid_keys: TTLCache[tuple[Any, str], ValidKey] = TTLCache(1000, CACHE_SECONDS)
#: The scope of each session: the user's own account. A session without its required second factor has no other.
ACCOUNT = "account"


@dataclass(frozen=True, slots=True)
class Identity(Actor):
    """Who sends a request, with the scopes granted to them."""

    scopes: frozenset[str] = frozenset()
    #: The CSRF token of the session; empty for a program.
    csrf: str = ""
    #: The session, or the digest of the key; both end, and live streams with them.
    session: ActiveSession | None = None
    key_id: int | None = None

    @property
    def is_user(self) -> bool:
        """Whether a person sends the request: a key may have the name of a user."""
        return self.session is not None


async def identify(request: Request, key: str | None) -> Identity:
    """Return who sends the request. Raises HTTPException 401, and Forbidden for a change without the CSRF token."""
    address = request.client.host if request.client else ""
    if key is not None or "authorization" in request.headers:
        valid = await _valid_key(key or "")
        if valid is not None:
            return Identity(f"key {valid.name}", address, valid.scopes, key_id=valid.id)
        await run_in_threadpool(events.record, "key.refuse", "", address)
    elif token := session_token(request):
        session = await run_in_threadpool(_session, token, address)
        if session is not None:
            name = f"user {session.user}"
            try:
                if request.method not in SAFE_METHODS:
                    await require_token(request, session.csrf)
            except Forbidden:
                await run_in_threadpool(events.record, "access.refuse", name, address)
                raise
            return Identity(name, address, _scopes(session), session.csrf, session)
    raise HTTPException(401, "authentication required: send an API key or log in", {"WWW-Authenticate": "Bearer"})


def needs_second_factor(session: ActiveSession) -> bool:
    """Return whether the user's role requires a second factor, and the user has none."""
    return session.role in get_settings().require_totp and not session.totp


def _scopes(session: ActiveSession) -> frozenset[str]:
    granted = () if needs_second_factor(session) else users.ROLES[session.role]
    return frozenset((ACCOUNT, *granted))


def access_mode() -> str:
    """Return a sentence about who has access, for the log. Raises SettingsError in production when nobody has."""
    with reading() as session:
        usable = api_keys.any_live(session) or users.any_active(session)
    if usable:
        return "Access with API keys and sessions."
    if get_settings().production:
        raise SettingsError(
            "AURA_ENV=production needs an API key or a user: `aura api-keys create NAME --scope submit` creates a key for "
            "a program, `aura users create NAME --role admin` a user"
        )
    return "Nobody has access yet: `aura users login-link` prints a link that logs an administrator in."


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


def _session(token: str, address: str) -> ActiveSession | None:
    with reading() as session:
        found = user_sessions.find(session, token)
    if found is not None and found.seen_is_old:
        with transaction() as session:
            user_sessions.record_use(session, found.digest, address)
    return found
