"""Sessions of users: start, find, list, end. The cookie holds a random token, the database its digest."""

from __future__ import annotations

import secrets
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from aura.errors import NotFound
from db.api_keys import digest
from db.models import User, UserSession
from db.text import storable
from db.time import from_now, now
from db.users import AuthenticatedUser

#: Seconds until a session expires, and between two updates of `last_seen_at`.
SESSION_SECONDS, SEEN_INTERVAL = 12 * 3600.0, 60.0
#: Characters of the digest by which its owner names a session.
ID_LENGTH = 16


@dataclass(frozen=True, slots=True)
class ActiveSession:
    """A session that has not expired, of a user who is not disabled."""

    user_id: int
    user: str
    role: str
    csrf: str
    digest: str
    #: Whether the user has set up a second factor.
    totp: bool
    #: Whether `last_seen_at` is older than SEEN_INTERVAL.
    seen_is_old: bool = False


def start(session: Session, user: AuthenticatedUser, address: str = "", agent: str = "") -> tuple[str, ActiveSession]:
    """Start a session. Returns the token for its cookie, which is not stored, and the session."""
    session.execute(delete(UserSession).where(UserSession.expires_at < now()))
    token, csrf = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
    session.add(
        UserSession(
            digest=digest(token),
            user_id=user.id,
            csrf=csrf,
            expires_at=from_now(SESSION_SECONDS),
            address=address[:64],
            user_agent=storable(agent)[:200],
            last_seen_at=now(),
        )
    )
    session.flush()
    return token, ActiveSession(user.id, user.name, user.role, csrf, digest(token), user.totp)


def find(session: Session, token: str) -> ActiveSession | None:
    """Return the session with this token, if it is active."""
    wanted = select(
        *(User.id, User.name, User.role, UserSession.csrf, UserSession.digest),
        User.totp_since.is_not(None).label("totp"),
        (UserSession.last_seen_at.is_(None) | (UserSession.last_seen_at < from_now(-SEEN_INTERVAL))).label("old"),
    ).join(UserSession, UserSession.user_id == User.id)
    row = session.execute(
        wanted.where(UserSession.digest == digest(token), UserSession.expires_at > now(), User.disabled.is_(False))
    ).first()
    return (
        ActiveSession(row.id, row.name, row.role, row.csrf, row.digest, bool(row.totp), bool(row.old)) if row else None
    )


def record_use(session: Session, digest: str, address: str) -> None:
    """Store when and from which address a session was used last."""
    session.execute(
        update(UserSession).where(UserSession.digest == digest).values(last_seen_at=now(), address=address[:64])
    )


def active(session: Session, digests: Collection[str]) -> set[str]:
    """Return those of these digests whose sessions are active."""
    wanted = select(UserSession.digest).join(User, User.id == UserSession.user_id)
    wanted = wanted.where(UserSession.expires_at > now(), User.disabled.is_(False))
    return set(session.scalars(wanted.where(UserSession.digest.in_(list(digests)))))


def listing(session: Session, user_id: int) -> list[dict[str, Any]]:
    """Return the active sessions of a user, the last used first; `id` names one to its owner."""
    columns = [getattr(UserSession, name) for name in ("digest", "created_at", "last_seen_at", "address", "user_agent")]
    rows = session.execute(
        select(*columns)
        .where(UserSession.user_id == user_id, UserSession.expires_at > now())
        .order_by(UserSession.last_seen_at.desc(), UserSession.created_at.desc())
    )
    return [{"id": row.digest[:ID_LENGTH], **row._mapping} for row in rows]


def end(session: Session, user_id: int, session_id: str) -> None:
    """End the session of this user with this id. Raises NotFound."""
    ended = delete(UserSession).where(
        UserSession.user_id == user_id, UserSession.digest.startswith(session_id, autoescape=True)
    )
    if len(session_id) != ID_LENGTH or not session.scalars(ended.returning(UserSession.digest)).all():
        raise NotFound("no such session: it has ended, or belongs to another user")


def end_others(session: Session, user_id: int, kept: str) -> int:
    """End all sessions of a user but the one with the digest `kept`. Returns their number."""
    ended = delete(UserSession).where(UserSession.user_id == user_id, UserSession.digest != kept)
    return len(session.scalars(ended.returning(UserSession.digest)).all())


def log_out(session: Session, token: str) -> None:
    """End the session with this token."""
    session.execute(delete(UserSession).where(UserSession.digest == digest(token)))
