"""Login: verifies passwords and second factors, and limits attempts by account, network and device.

The limits are checked before an attempt waits for the hash, so that an address that used up its attempts takes no capacity
of others. A known device (`aura.web.auth.devices`) has attempts and places of its own: nobody else can lock its user out.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from fastapi import HTTPException, Request, Response
from starlette.concurrency import run_in_threadpool

from aura.errors import Forbidden, TooManyRequests
from aura.web.auth import pending
from aura.web.auth.csrf import other_site, same_origin
from aura.web.auth.devices import known_device, remember_device
from aura.web.auth.security_events import events
from aura.web.auth.sessions import LOOPBACK, is_secure, set_session_cookie
from db import (
    audit,
    login_links,
    login_throttle,
    passwords,
    reading,
    second_factor,
    signing_keys,
    transaction,
    user_sessions,
    users,
)
from db.audit import Actor
from db.login_throttle import WINDOW_SECONDS, network_of
from db.user_sessions import ActiveSession
from db.users import Account, AuthenticatedUser

#: Failures within `WINDOW_SECONDS` of an account from unknown devices, of a network, and of a known device or a session;
#: further attempts are refused.
MAX_PER_ACCOUNT, MAX_PER_NETWORK, MAX_PER_DEVICE = 10, 30, 10
#: Logins of unknown devices that wait in one process, those of one network among them, and logins of known devices that
#: wait. A hash takes 64 MB and a core for a moment, so one is verified at a time.
MAX_WAITING, MAX_WAITING_PER_NETWORK, MAX_WAITING_KNOWN = 10, 3, 10


class TooManyLogins(TooManyRequests):
    """Too many logins to the account, from the network or from the device failed."""


class WrongCredentials(HTTPException):
    """The name, the password or the code is wrong."""

    def __init__(self, detail: str) -> None:
        super().__init__(401, detail)


class CodeRequired(WrongCredentials):
    """The password is right, and the code of the second factor is missing; `pending` continues the login."""

    def __init__(self, pending: str) -> None:
        super().__init__("a code of the second factor is required")
        self.pending = pending


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attempt to log in: the user, if there is one of that name, and the counters of its failures."""

    user: Account | None
    address: str
    device: str | None
    #: The counters and their limits.
    limits: dict[str, int]
    key: bytes = field(repr=False)

    def refused(self, why: str) -> None:
        """Count the failure and record it; a name that no user has may be a password, so it is not recorded."""
        with transaction() as session:
            login_throttle.record(session, self.limits)
        events.record(f"login.{why}", self.who, self.address)

    @property
    def who(self) -> str:
        """The user as in the audit log; empty for a name that no user has."""
        return f"user {self.user.name}" if self.user else ""


class Login:
    """Verifies the passwords of one web process, one after the other."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._waiting: Counter[str] = Counter()

    async def log_in(
        self, request: Request, response: Response, name: str, password: str, code: str = ""
    ) -> ActiveSession:
        """Start a session and set its cookie on the response.

        Raises WrongCredentials, CodeRequired, Forbidden for a request of another site or over plain http from another
        machine, and TooManyRequests after many failures.
        """
        secure = require_own_request(request)
        attempt = await run_in_threadpool(_begin, request, name, secure)
        async with self._place(attempt):
            await run_in_threadpool(_require_attempts, attempt)
            if not await run_in_threadpool(_verify, attempt, password) or attempt.user is None:
                await run_in_threadpool(attempt.refused, "refuse")
                raise WrongCredentials("wrong name or password")
            if attempt.user.totp and not code:
                raise CodeRequired(pending.make(attempt.key, attempt.user))
            if attempt.user.totp:
                await run_in_threadpool(_require_code, attempt, code)
        return await run_in_threadpool(_start, request, response, attempt, secure)

    async def finish(self, request: Request, response: Response, name: str, waiting: str, code: str) -> ActiveSession:
        """Start the session of a login that waited for its second factor. Raises as `log_in` does."""
        secure = require_own_request(request)
        attempt = await run_in_threadpool(_begin, request, name, secure)
        if attempt.user is None or attempt.user.disabled or not pending.is_valid(attempt.key, attempt.user, waiting):
            raise WrongCredentials("the login took too long; start again")
        async with self._place(attempt):
            await run_in_threadpool(_require_attempts, attempt)
            await run_in_threadpool(_require_code, attempt, code)
        return await run_in_threadpool(_start, request, response, attempt, secure)

    async def require_password(self, user: str, password: str, address: str) -> None:
        """Raise Forbidden unless this is the password of the user, who has a session already, or the user has none."""
        attempt = await run_in_threadpool(_begin_in_session, user, address)
        if attempt.user is not None and not attempt.user.has_password:
            return
        async with self._place(attempt):
            await run_in_threadpool(_require_attempts, attempt)
            if not await run_in_threadpool(_verify, attempt, password):
                await run_in_threadpool(attempt.refused, "refuse")
                raise Forbidden("the current password is wrong")

    async def set_password(self, who: Actor, user: str, password: str) -> None:
        """Change a password and end the user's sessions. Raises WeakPassword."""
        await run_in_threadpool(passwords.require_strong, password, user)
        async with self._lock:
            await run_in_threadpool(_set_password, who, user, password)

    @asynccontextmanager
    async def _place(self, attempt: Attempt) -> AsyncIterator[None]:
        network = "" if attempt.device else network_of(attempt.address)
        unknown = self._waiting.total() - self._waiting[""]
        full = self._waiting[network] >= (MAX_WAITING_KNOWN if attempt.device else MAX_WAITING_PER_NETWORK)
        if full or (not attempt.device and unknown >= MAX_WAITING):
            raise TooManyRequests("too many logins at the same time; try again in a few seconds", retry_after=5)
        self._waiting[network] += 1
        try:
            async with self._lock:
                yield
        finally:
            self._waiting[network] -= 1
            self._waiting += Counter()  # without the networks that wait no more


def require_own_request(request: Request) -> bool:
    """Return whether the cookies are secure ones. Raises Forbidden for other sites and for plain http."""
    if not same_origin(request):
        raise Forbidden(other_site(request))
    secure = is_secure(request)
    if not secure and request.url.hostname not in LOOPBACK:
        raise Forbidden(
            "log in over https: passwords are not accepted over http; behind a proxy with TLS, set AURA_BASE_URL to its "
            "https address"
        )
    return secure


def log_in_by_link(request: Request, response: Response, token: str) -> None:
    """Start the session of a login link, which is used up. Raises WrongCredentials, and Forbidden over plain http."""
    secure = is_secure(request)
    if not secure and request.url.hostname not in LOOPBACK:
        raise Forbidden("open the link over https, or on the machine itself")
    address = address_of(request)
    with transaction() as session:
        user = login_links.use(session, token)
        if user is not None:
            who = Actor(f"user {user.name}", address)
            audit.record(session, who, "login.begin", f"user/{user.name}", {"by": "login link"})
            cookie, _ = user_sessions.start(session, user, address, request.headers.get("user-agent", ""))
    if user is None:
        events.record("login.refuse", "", address)
        raise WrongCredentials(
            "the login link is wrong, was used already, or has expired; make a new one: aura users login-link"
        )
    set_session_cookie(response, cookie, secure)


def address_of(request: Request) -> str:
    """Return the IP address of the client."""
    return request.client.host if request.client else ""


def _begin(request: Request, name: str, secure: bool) -> Attempt:
    """Return the attempt. Raises TooManyLogins."""
    address = address_of(request)
    with reading() as session:
        key, user = signing_keys.get(session, signing_keys.LOGIN), users.find(session, name)
    device = known_device(request, key, user.id, secure) if user else None
    typed = hmac.new(key, f"name\0{name}".encode("utf-8", "replace"), hashlib.sha256).hexdigest()[:32]
    account = f"account:{user.id}" if user else f"name:{typed}"
    attempt = Attempt(
        user, address, None, {account: MAX_PER_ACCOUNT, f"network:{network_of(address)}": MAX_PER_NETWORK}, key
    )
    if device is not None:
        known = Attempt(user, address, device, {f"device:{device}": MAX_PER_DEVICE}, key)
        if not _is_exhausted(known):
            return known
    _require_attempts(attempt)
    return attempt


def _begin_in_session(user: str, address: str) -> Attempt:
    """Return the attempt of a user who has a session already. Raises TooManyLogins."""
    with reading() as session:
        key, account = signing_keys.get(session, signing_keys.LOGIN), users.find(session, user)
    attempt = Attempt(account, address, "session", {f"session:{account.id if account else 0}": MAX_PER_DEVICE}, key)
    _require_attempts(attempt)
    return attempt


def _is_exhausted(attempt: Attempt) -> bool:
    with reading() as session:
        return login_throttle.exhausted(session, attempt.limits)


def _require_attempts(attempt: Attempt) -> None:
    if _is_exhausted(attempt):
        events.record("login.throttle", attempt.who, attempt.address)
        minutes = WINDOW_SECONDS / 60
        raise TooManyLogins(f"too many failed logins; try again in {minutes:g} minutes", retry_after=WINDOW_SECONDS)


def _verify(attempt: Attempt, password: str) -> bool:
    # an unknown name takes as long as a wrong password
    right = passwords.verify(attempt.user.password if attempt.user else None, password)
    return right and attempt.user is not None and not attempt.user.disabled


def _require_code(attempt: Attempt, code: str) -> None:
    assert attempt.user is not None
    with transaction() as session:
        right = second_factor.verify(session, attempt.user.id, code[:40])
    if not right:
        attempt.refused("code")
        raise WrongCredentials("the code is wrong, or was used already")


def _start(request: Request, response: Response, attempt: Attempt, secure: bool) -> ActiveSession:
    user = attempt.user
    assert user is not None
    with audit.acting(Actor(f"user {user.name}", attempt.address), "login.begin", f"user/{user.name}") as session:
        token, started = user_sessions.start(
            session,
            AuthenticatedUser(user.id, user.name, user.role, user.totp),
            attempt.address,
            request.headers.get("user-agent", ""),
        )
    set_session_cookie(response, token, secure)
    remember_device(response, attempt.key, user.id, attempt.device, secure)
    return started


def _set_password(who: Actor, user: str, password: str) -> None:
    with audit.acting(who, "user.password", f"user/{user}") as session:
        users.set_password(session, user, password, judged=True)
