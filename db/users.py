"""People who log in: a name, a role, the hash of a password; and the browsers in which they are logged in."""

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

#: What each role may do, in the scopes of keys.
ROLES = {"viewer": ("read",), "operator": ("read", "submit", "operate"), "admin": SCOPES}
#: A password's characters.
SHORTEST, LONGEST = 10, 200
#: The user who is there when nobody was made.
FIRST = "admin"
#: Seconds that a login lasts.
SESSION_SECONDS = 12 * 3600.0
#: Attempts that fail within so many seconds before the next has to wait: at one account, from one address.
PER_ACCOUNT, PER_ADDRESS, WITHIN = 10, 30, 900.0
REFUSED = "login.refuse"

_hasher = PasswordHasher()


class InvalidUser(InvalidInput):
    """There is no such user, or it cannot be made like this; the text says why."""


class Throttled(TooManyRequests):
    """Too many attempts failed."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """Somebody whose password was right."""

    id: int
    name: str
    role: str


@dataclass(frozen=True, slots=True)
class ActiveSession:
    """A browser in which somebody is logged in."""

    user: str
    role: str
    csrf: str


def create(session: Session, name: str, password: str, role: str) -> None:
    """Add somebody. Raises WrongUser."""
    name = name.strip()
    if not name.isprintable() or not 0 < len(name) <= 80:
        raise InvalidUser("a user's name is 1 to 80 printable characters")
    if role not in ROLES:
        raise InvalidUser(f"there is no role {role[:80]!r}; there are {', '.join(ROLES)}")
    hashed = _hash(password)
    try:
        with session.begin_nested():
            session.add(User(name=name, password=hashed, role=role))
    except IntegrityError:
        raise InvalidUser(f"there is a user {name!r} already") from None


def create_first(session: Session) -> str | None:
    """Add the first user, an admin called FIRST, and return the password, which is not kept; None when there is a user."""
    if any_made(session):
        return None
    password = "-".join(secrets.token_hex(3) for _ in range(4))
    create(session, FIRST, password, "admin")
    return password


def set_password(session: Session, name: str, password: str) -> None:
    """Change a password, and log the user out everywhere. Raises WrongUser."""
    _change(session, name, password=_hash(password))


def disable(session: Session, name: str, disabled: bool = True) -> None:
    """Keep somebody out, logged in or not, or let them in again. Raises WrongUser."""
    _change(session, name, disabled=disabled)


def check(session: Session, name: str, password: str, address: str) -> Candidate | None:
    """Return who this is; None when name or password are wrong. Raises Throttled.

    The caller records a refusal in the audit: that is what attempts are counted by. It takes a while, by design.
    """
    for column, value, most in (
        (AuditEntry.subject, f"user/{name}"[:250], PER_ACCOUNT),
        (AuditEntry.address, address, PER_ADDRESS),
    ):
        failed = select(func.count()).where(
            AuditEntry.action == REFUSED, AuditEntry.at > from_now(-WITHIN), column == value
        )
        if (session.scalar(failed) or 0) >= most:
            raise Throttled
    user = session.scalar(select(User).where(User.name == name))
    # somebody who is not there takes as long as somebody with another password
    if not _verify(user.password if user else _nobody(), password) or user is None or user.disabled:
        return None
    return Candidate(user.id, user.name, user.role)


def log_in(session: Session, candidate: Candidate) -> tuple[str, ActiveSession]:
    """Log a browser in; returns the token for its cookie."""
    session.execute(delete(UserSession).where(UserSession.expires_at < now()))
    token, csrf = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
    session.add(
        UserSession(digest=digest(token), user_id=candidate.id, csrf=csrf, expires_at=from_now(SESSION_SECONDS))
    )
    return token, ActiveSession(candidate.name, candidate.role, csrf)


def logged_in(session: Session, token: str) -> ActiveSession | None:
    """Return who is logged in with this token."""
    wanted = select(User.name, User.role, UserSession.csrf).join(UserSession, UserSession.user_id == User.id)
    wanted = wanted.where(UserSession.digest == digest(token), UserSession.expires_at > now(), User.disabled.is_(False))
    row = session.execute(wanted).first()
    return ActiveSession(row.name, row.role, row.csrf) if row else None


def log_out(session: Session, token: str) -> None:
    """End a login."""
    session.execute(delete(UserSession).where(UserSession.digest == digest(token)))


def listing(session: Session) -> list[dict[str, Any]]:
    """Return the users by name."""
    rows = session.execute(select(User.name, User.role, User.disabled, User.created_at).order_by(User.name))
    return [dict(row._mapping) for row in rows]


def any_made(session: Session) -> bool:
    """Return whether there is a user."""
    return session.scalar(select(User.id).limit(1)) is not None


def any_active(session: Session) -> bool:
    """Return whether somebody can log in."""
    return session.scalar(select(User.id).where(User.disabled.is_(False)).limit(1)) is not None


def _change(session: Session, name: str, **values: Any) -> None:
    user_id = session.scalar(update(User).where(User.name == name).values(**values).returning(User.id))
    if user_id is None:
        raise InvalidUser(f"there is no user {name[:80]!r}; `aura users list` shows those there are")
    session.execute(delete(UserSession).where(UserSession.user_id == user_id))


def _hash(password: str) -> str:
    if not SHORTEST <= len(password) <= LONGEST:
        raise InvalidUser(f"a password has {SHORTEST} to {LONGEST} characters")
    return _hasher.hash(password)


def _verify(hashed: str, password: str) -> bool:
    try:
        return len(password) <= LONGEST and _hasher.verify(hashed, password)
    except (VerificationError, InvalidHashError):
        return False


@lru_cache(maxsize=1)
def _nobody() -> str:
    return _hasher.hash(secrets.token_urlsafe(32))
