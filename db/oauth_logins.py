"""OAuth logins: the encrypted refresh token of each mailbox. Every function takes the caller's session and commits nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from db.models import OAuthLogin
from db.statements import table, upsert
from db.time import now

_c = table(OAuthLogin).c


@dataclass(frozen=True, slots=True)
class StoredLogin:
    """A login; `refresh_token` is as `aura.oauth.logins` wrote it."""

    refresh_token: str = field(repr=False)
    logged_in_at: datetime
    renewed_at: datetime


def find(session: Session, provider: str, mailbox: str) -> StoredLogin | None:
    """Return the login of a mailbox."""
    columns = (_c.refresh_token, _c.logged_in_at, _c.renewed_at)
    row = session.execute(select(*columns).where(_c.provider == provider, _c.mailbox == mailbox)).one_or_none()
    return StoredLogin(*row) if row else None


def save(session: Session, provider: str, mailbox: str, refresh_token: str) -> None:
    """Store a new login, which replaces the previous one of the mailbox."""
    values = {"refresh_token": refresh_token, "logged_in_at": now(), "renewed_at": now()}
    statement = upsert(session, OAuthLogin).values(provider=provider, mailbox=mailbox, **values)
    session.execute(statement.on_conflict_do_update(index_elements=["provider", "mailbox"], set_=values))


def replace(session: Session, provider: str, mailbox: str, previous: str, refresh_token: str) -> bool:
    """Replace a refresh token by the next one. Returns False, and changes nothing, when a person logged in or out since."""
    own = (_c.provider == provider, _c.mailbox == mailbox)
    # compared here: the stored form changes when the encryption keys are rotated
    if session.scalar(select(_c.refresh_token).where(*own).with_for_update()) != previous:
        return False
    session.execute(update(table(OAuthLogin)).where(*own).values(refresh_token=refresh_token, renewed_at=now()))
    return True


def remove(session: Session, provider: str, mailbox: str) -> bool:
    """Delete the login of a mailbox. Returns whether there was one."""
    own = delete(OAuthLogin).where(_c.provider == provider, _c.mailbox == mailbox)
    return session.scalar(own.returning(_c.mailbox)) is not None
