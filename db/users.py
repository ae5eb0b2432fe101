"""Users: names, roles and passwords."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from aura.errors import InvalidInput
from db import passwords
from db.api_keys import SCOPES
from db.models import User, UserSession

#: The scopes of each role.
ROLES = {"viewer": ("read",), "operator": ("read", "submit", "operate"), "admin": SCOPES}
#: The administrator that an empty installation gets.
FIRST_USER = "admin"


class InvalidUser(InvalidInput):
    """The user does not exist, or cannot be created or changed like this."""


@dataclass(frozen=True, slots=True)
class AuthenticatedUser:
    """A user whose password or login link was verified."""

    id: int
    name: str
    role: str
    #: Whether the user has set up a second factor.
    totp: bool = False


@dataclass(frozen=True, slots=True)
class Account:
    """A user as the login needs it; never shown."""

    id: int
    name: str
    role: str
    password: str
    disabled: bool
    totp: bool

    @property
    def has_password(self) -> bool:
        """Whether the user can log in with a password; otherwise with a login link alone."""
        return self.password != passwords.NO_PASSWORD


def create(session: Session, name: str, password: str, role: str) -> None:
    """Create a user. Raises InvalidUser, and WeakPassword."""
    _insert(session, _checked(name, role), passwords.hash_password(password, name), role)


def create_without_password(session: Session, name: str, role: str) -> None:
    """Create a user who can log in by a login link alone, until a password is set. Raises InvalidUser."""
    _insert(session, _checked(name, role), passwords.NO_PASSWORD, role)


def set_password(session: Session, name: str, password: str, judged: bool = False) -> None:
    """Change a password, which was judged already or is now, and end the user's sessions.

    Raises InvalidUser, and WeakPassword.
    """
    _change(session, name, password=passwords.hash_password(password, name, judged))


def disable(session: Session, name: str, disabled: bool = True) -> None:
    """Disable a user and end their sessions, or enable the user again. Raises InvalidUser."""
    _change(session, name, disabled=disabled)


def find(session: Session, name: str) -> Account | None:
    """Return the user with this name."""
    if "\0" in name:  # PostgreSQL refuses NUL even in a comparison
        return None
    row = session.execute(
        select(
            *(User.id, User.name, User.role, User.password, User.disabled), User.totp_since.is_not(None).label("totp")
        ).where(User.name == name)
    ).first()
    return Account(*row) if row else None


def listing(session: Session) -> list[dict[str, Any]]:
    """Return all users, ordered by name."""
    columns = (User.name, User.role, User.disabled, User.totp_since.is_not(None).label("totp"), User.created_at)
    return [dict(row._mapping) for row in session.execute(select(*columns).order_by(User.name))]


def any_created(session: Session) -> bool:
    """Return whether any user exists."""
    return session.scalar(select(User.id).limit(1)) is not None


def any_active(session: Session) -> bool:
    """Return whether any user is not disabled."""
    return session.scalar(select(User.id).where(User.disabled.is_(False)).limit(1)) is not None


def _checked(name: str, role: str) -> str:
    name = name.strip()
    if not name.isprintable() or not 0 < len(name) <= 80:
        raise InvalidUser("name: must have 1 to 80 printable characters")
    if role not in ROLES:
        raise InvalidUser(f"role: must be one of {', '.join(ROLES)}, not {role[:80]!r}")
    return name


def _insert(session: Session, name: str, hashed: str, role: str) -> None:
    try:
        with session.begin_nested():
            session.add(User(name=name, password=hashed, role=role))
    except IntegrityError:
        raise InvalidUser(f"name: user {name!r} exists already") from None


def _change(session: Session, name: str, **values: Any) -> None:
    user_id = session.scalar(update(User).where(User.name == name).values(**values).returning(User.id))
    if user_id is None:
        raise InvalidUser(f"no user {name[:80]!r}")
    session.execute(delete(UserSession).where(UserSession.user_id == user_id))
