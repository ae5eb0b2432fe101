"""The keys of programs: shown once, kept as digests, with scopes and an end."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import and_, case, func, or_, select, true, update
from sqlalchemy.orm import Session

from aura.errors import InvalidInput
from db.ids import is_id
from db.models import ApiKey
from db.time import from_now, now

#: What a key may allow: to look, to report tickets, to act on tickets and queues, and to change how Aura works.
SCOPES = ("read", "submit", "operate", "admin")
#: Live keys of one name: the one in use, and the one that takes over.
MOST_LIVE = 2
#: Seconds between two notes of when a key was used.
USED_EVERY = 60.0
#: The longest life of a key, in days.
LONGEST = 3660

_live = and_(ApiKey.revoked_at.is_(None), or_(ApiKey.expires_at.is_(None), ApiKey.expires_at > now()))


class InvalidApiKey(InvalidInput):
    """The key cannot be made or revoked like this; the text says why."""


@dataclass(frozen=True, slots=True)
class Known:
    """A key that is good."""

    id: int
    name: str
    scopes: frozenset[str]


def digest(secret: str) -> str:
    """Return what is kept of a secret of 256 random bits."""
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()


def create(session: Session, name: str, scopes: Collection[str], days: float | None = None) -> tuple[int, str]:
    """Make a key and return its number and the key itself, which is not kept. Raises WrongKey."""
    name = name.strip()
    if not name.isprintable() or not 0 < len(name) <= 80:
        raise InvalidApiKey("a key's name is 1 to 80 printable characters")
    if not scopes or set(scopes) - set(SCOPES):
        raise InvalidApiKey(f"a key needs scopes; there are {', '.join(SCOPES)}")
    if days is not None and not 0 < days <= LONGEST:
        raise InvalidApiKey(f"a key lives more than 0 and at most {LONGEST} days; without a time, until it is revoked")
    live = session.scalars(select(ApiKey.id).where(ApiKey.name == name, _live).with_for_update()).all()
    if len(live) >= MOST_LIVE:
        raise InvalidApiKey(f"{name} has {len(live)} live keys ({', '.join(map(str, live))}): revoke one of them first")
    secret = f"aura_{secrets.token_urlsafe(32)}"
    key = ApiKey(
        name=name,
        digest=digest(secret),
        hint=secret[:10],
        scopes=sorted(set(scopes)),
        expires_at=None if days is None else from_now(days * 86_400),
    )
    session.add(key)
    session.flush()
    return key.id, secret


def revoke(session: Session, key_id: int) -> str:
    """End a key, for every process within seconds, and return its name. Raises WrongKey."""
    ended = update(ApiKey).where(ApiKey.id == key_id, ApiKey.revoked_at.is_(None)).values(revoked_at=now())
    name: str | None = session.scalar(ended.returning(ApiKey.name)) if is_id(key_id) else None
    if name is None:
        raise InvalidApiKey(f"there is no key {key_id} that is not revoked; `aura keys list` shows those there are")
    return name


def find(session: Session, secret: str) -> tuple[Known, bool] | None:
    """Return the key, if it is good, and whether its use should be noted."""
    stale = or_(ApiKey.last_used_at.is_(None), ApiKey.last_used_at < from_now(-USED_EVERY)).label("stale")
    wanted = select(ApiKey.id, ApiKey.name, ApiKey.scopes, stale).where(ApiKey.digest == digest(secret), _live)
    row = session.execute(wanted).first()
    return (Known(row.id, row.name, frozenset(row.scopes)), bool(row.stale)) if row else None


def used(session: Session, key_id: int) -> None:
    """Note that the key was used, unless somebody has just done so."""
    stale = or_(ApiKey.last_used_at.is_(None), ApiKey.last_used_at < from_now(-USED_EVERY))
    session.execute(update(ApiKey).where(ApiKey.id == key_id, stale).values(last_used_at=now()))


def any_made(session: Session) -> bool:
    """Return whether a key was ever made."""
    return session.scalar(select(ApiKey.id).limit(1)) is not None


def any_live(session: Session) -> bool:
    """Return whether a key is good."""
    return session.scalar(select(ApiKey.id).where(_live).limit(1)) is not None


def listing(session: Session) -> list[dict[str, Any]]:
    """Return every key, by name and age, with its state: live, expired or revoked."""
    names = ("id", "name", "hint", "scopes", "created_at", "expires_at", "revoked_at", "last_used_at")
    state = case((_live, "live"), (ApiKey.revoked_at.is_not(None), "revoked"), (true(), "expired")).label("state")
    rows = session.execute(select(*[getattr(ApiKey, name) for name in names], state).order_by(ApiKey.name, ApiKey.id))
    return [dict(row._mapping) for row in rows]


def count_live(session: Session, name: str) -> int:
    """Return how many live keys a name has."""
    return session.scalar(select(func.count()).where(ApiKey.name == name, _live)) or 0
