"""One-time login links: a random token that starts a session once, and expires soon."""

from __future__ import annotations

import secrets

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from aura.errors import NotFound
from db.api_keys import digest
from db.models import LoginLink, User
from db.time import from_now, now
from db.users import FIRST_USER, AuthenticatedUser, InvalidUser, any_created, create_without_password

#: Seconds until a link expires.
LINK_SECONDS = 900.0


def create(session: Session, name: str | None = None) -> tuple[str, str]:
    """Create a link for a user, and end the user's older links. Returns the user and the token, which is not stored.

    Without a name it is for the administrator FIRST_USER, who is created when no user exists. Raises NotFound for a user
    who does not exist, and InvalidUser for one who is disabled.
    """
    if name is None and not any_created(session):
        create_without_password(session, FIRST_USER, "admin")
    wanted = name or FIRST_USER
    user = session.execute(select(User.id, User.name, User.disabled).where(User.name == wanted)).first()
    if user is None:
        raise NotFound(f"no user {wanted[:80]!r}")
    if user.disabled:
        raise InvalidUser(f"user {user.name!r} is disabled")
    token = secrets.token_urlsafe(32)
    session.execute(delete(LoginLink).where((LoginLink.user_id == user.id) | (LoginLink.expires_at < now())))
    session.add(LoginLink(digest=digest(token), user_id=user.id, expires_at=from_now(LINK_SECONDS)))
    return user.name, token


def use(session: Session, token: str) -> AuthenticatedUser | None:
    """Delete the link with this token and return its user; None when it is unknown, used or expired."""
    if session.scalar(select(LoginLink.user_id).where(LoginLink.digest == digest(token))) is None:
        return None  # a guess takes no lock
    used = delete(LoginLink).where(LoginLink.digest == digest(token), LoginLink.expires_at > now())
    user_id = session.scalar(used.returning(LoginLink.user_id))
    columns = (User.id, User.name, User.role, User.totp_since.is_not(None))
    row = session.execute(select(*columns).where(User.id == user_id, User.disabled.is_(False))).first()
    return AuthenticatedUser(*row) if row else None
