"""Users and their sessions: roles, password hashes, login attempts, session tokens."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import delete, func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from aura.errors import InvalidInput, TooManyRequests
from db.api_keys import SCOPES, digest
from db.models import AuditEntry, User, UserSession
from db.time import from_now, now

#: The scopes of each role.
ROLES = {"viewer": ("read",), "operator": ("read", "submit", "operate"), "admin": SCOPES}
#: Characters of a password, at least and at most.
MIN_PASSWORD, MAX_PASSWORD = 10, 200
#: The name of the user that an empty installation gets.
FIRST_USER = "admin"
#: Seconds until a session expires.
SESSION_SECONDS = 12 * 3600.0
#: Failed logins to one account, and from one address, within so many seconds; further attempts are refused.
MAX_PER_ACCOUNT, MAX_PER_ADDRESS, WINDOW_SECONDS = 10, 30, 900.0
#: The audited action of a failed login.
REFUSED = "login.refuse"

_hasher = PasswordHasher()


class InvalidUser(InvalidInput):
    """The user does not exist, or cannot be created or changed like this."""


class TooManyLogins(TooManyRequests):
    """Too many logins to the account or from the address failed."""


@dataclass(frozen=True, slots=True)
class AuthenticatedUser:
    """A user whose password was verified."""

    id: int
    name: str
    role: str


@dataclass(frozen=True, slots=True)
class ActiveSession:
    """A session that has not expired, of a user who is not disabled."""

    user: str
    role: str
    csrf: str


def create(session: Session, name: str, password: str, role: str) -> None:
    """Create a user. Raises InvalidUser."""
    name = name.strip()
    if not name.isprintable() or not 0 < len(name) <= 80:
        raise InvalidUser("name: must have 1 to 80 printable characters")
    if role not in ROLES:
        raise InvalidUser(f"role: must be one of {', '.join(ROLES)}, not {role[:80]!r}")
    hashed = _hash(password)
    try:
        with session.begin_nested():
            session.add(User(name=name, password=hashed, role=role))
    except IntegrityError:
        raise InvalidUser(f"name: user {name!r} exists already") from None


def create_first(session: Session) -> str | None:
    """Create the administrator FIRST_USER and return its random password; None when a user exists."""
    if any_created(session):
        return None
    password = "-".join(secrets.token_hex(3) for _ in range(4))
    create(session, FIRST_USER, password, "admin")
    return password


def set_password(session: Session, name: str, password: str) -> None:
    """Change a password and end the user's sessions. Raises InvalidUser."""
    _change(session, name, password=_hash(password))


def disable(session: Session, name: str, disabled: bool = True) -> None:
    """Disable a user and end their sessions, or enable the user again. Raises InvalidUser."""
    _change(session, name, disabled=disabled)


def authenticate(session: Session, name: str, password: str, address: str) -> AuthenticatedUser | None:
    """Return the user, or None when name or password are wrong. Raises TooManyLogins.

    The caller records a failure in the audit log, by which attempts are counted. The hash is slow by design.
    """
    for column, value, limit in (
        (AuditEntry.subject, f"user/{name}"[:250], MAX_PER_ACCOUNT),
        (AuditEntry.address, address, MAX_PER_ADDRESS),
    ):
        failed = select(func.count()).where(
            AuditEntry.action == REFUSED, AuditEntry.at > from_now(-WINDOW_SECONDS), column == value
        )
        if (session.scalar(failed) or 0) >= limit:
            minutes = WINDOW_SECONDS / 60
            raise TooManyLogins(f"too many failed logins; try again in {minutes:g} minutes", retry_after=WINDOW_SECONDS)
    user = session.scalar(select(User).where(User.name == name))
    # an unknown name takes as long as a wrong password
    if not _verify(user.password if user else _unknown_user_hash(), password) or user is None or user.disabled:
        return None
    return AuthenticatedUser(user.id, user.name, user.role)


def log_in(session: Session, user: AuthenticatedUser) -> tuple[str, ActiveSession]:
    """Start a session. Returns the token for its cookie, which is not stored, and the session."""
    session.execute(delete(UserSession).where(UserSession.expires_at < now()))
    token, csrf = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
    session.add(UserSession(digest=digest(token), user_id=user.id, csrf=csrf, expires_at=from_now(SESSION_SECONDS)))
    return token, ActiveSession(user.name, user.role, csrf)


def active_session(session: Session, token: str) -> ActiveSession | None:
    """Return the session with this token, if it is active."""
    wanted = select(User.name, User.role, UserSession.csrf).join(UserSession, UserSession.user_id == User.id)
    wanted = wanted.where(UserSession.digest == digest(token), UserSession.expires_at > now(), User.disabled.is_(False))
    row = session.execute(wanted).first()
    return ActiveSession(row.name, row.role, row.csrf) if row else None


def log_out(session: Session, token: str) -> None:
    """End the session with this token."""
    session.execute(delete(UserSession).where(UserSession.digest == digest(token)))


def listing(session: Session) -> list[dict[str, Any]]:
    """Return all users, ordered by name."""
    rows = session.execute(select(User.name, User.role, User.disabled, User.created_at).order_by(User.name))
    return [dict(row._mapping) for row in rows]


def any_created(session: Session) -> bool:
    """Return whether any user exists."""
    return session.scalar(select(User.id).limit(1)) is not None


def any_active(session: Session) -> bool:
    """Return whether any user is not disabled."""
    return session.scalar(select(User.id).where(User.disabled.is_(False)).limit(1)) is not None


def _change(session: Session, name: str, **values: Any) -> None:
    user_id = session.scalar(update(User).where(User.name == name).values(**values).returning(User.id))
    if user_id is None:
        raise InvalidUser(f"no user {name[:80]!r}")
    session.execute(delete(UserSession).where(UserSession.user_id == user_id))


def _hash(password: str) -> str:
    if not MIN_PASSWORD <= len(password) <= MAX_PASSWORD:
        raise InvalidUser(f"password: must have {MIN_PASSWORD} to {MAX_PASSWORD} characters")
    return _hasher.hash(password)


def _verify(hashed: str, password: str) -> bool:
    try:
        return len(password) <= MAX_PASSWORD and _hasher.verify(hashed, password)
    except (VerificationError, InvalidHashError):
        return False


@lru_cache(maxsize=1)
def _unknown_user_hash() -> str:
    return _hasher.hash(secrets.token_urlsafe(32))
