"""API keys: secrets shown once and stored as digests, with scopes and an expiry."""

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

#: Scopes: read everything; submit tickets; operate on tickets, jobs and queues; administer models, users and keys.
SCOPES = ("read", "submit", "operate", "admin")
#: Live keys of one name: the current one, and its successor during a rotation.
MAX_LIVE = 2
#: Seconds between two updates of `last_used_at`.
USE_INTERVAL = 60.0
#: The latest expiry of a key, in days.
MAX_DAYS = 3660

_live = and_(ApiKey.revoked_at.is_(None), or_(ApiKey.expires_at.is_(None), ApiKey.expires_at > now()))


class InvalidApiKey(InvalidInput):
    """The key does not exist, or cannot be created or revoked like this."""


@dataclass(frozen=True, slots=True)
class ValidKey:
    """A key that is neither expired nor revoked."""

    id: int
    name: str
    scopes: frozenset[str]


def digest(secret: str) -> str:
    """Return the SHA-256 of a secret of 256 random bits, which needs no salt."""
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()


def create(session: Session, name: str, scopes: Collection[str], days: float | None = None) -> tuple[int, str]:
    """Create a key. Returns its id and its secret, which is not stored. Raises InvalidApiKey."""
    name = name.strip()
    if not name.isprintable() or not 0 < len(name) <= 80:
        raise InvalidApiKey("name: must have 1 to 80 printable characters")
    if not scopes or set(scopes) - set(SCOPES):
        raise InvalidApiKey(f"scopes: must be one or more of {', '.join(SCOPES)}")
    if days is not None and not 0 < days <= MAX_DAYS:
        raise InvalidApiKey(f"days: must be more than 0 and at most {MAX_DAYS}; without it the key does not expire")
    live = session.scalars(select(ApiKey.id).where(ApiKey.name == name, _live).with_for_update()).all()
    if len(live) >= MAX_LIVE:
        raise InvalidApiKey(
            f"name: {name} has {len(live)} live keys ({', '.join(map(str, live))}); revoke one of them first"
        )
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
    """Revoke a key, effective in every process within seconds. Returns its name. Raises InvalidApiKey."""
    ended = update(ApiKey).where(ApiKey.id == key_id, ApiKey.revoked_at.is_(None)).values(revoked_at=now())
    name: str | None = session.scalar(ended.returning(ApiKey.name)) if is_id(key_id) else None
    if name is None:
        raise InvalidApiKey(f"no key {key_id}, or it is revoked already")
    return name


def find(session: Session, secret: str) -> tuple[ValidKey, bool] | None:
    """Return the key with this secret, if it is valid, and whether its `last_used_at` should be updated."""
    stale = or_(ApiKey.last_used_at.is_(None), ApiKey.last_used_at < from_now(-USE_INTERVAL)).label("stale")
    wanted = select(ApiKey.id, ApiKey.name, ApiKey.scopes, stale).where(ApiKey.digest == digest(secret), _live)
    row = session.execute(wanted).first()
    return (ValidKey(row.id, row.name, frozenset(row.scopes)), bool(row.stale)) if row else None


def record_use(session: Session, key_id: int) -> None:
    """Update `last_used_at`, at most once in USE_INTERVAL seconds."""
    stale = or_(ApiKey.last_used_at.is_(None), ApiKey.last_used_at < from_now(-USE_INTERVAL))
    session.execute(update(ApiKey).where(ApiKey.id == key_id, stale).values(last_used_at=now()))


def active(session: Session, ids: Collection[int]) -> set[int]:
    """Return those of these ids whose keys are valid."""
    return set(session.scalars(select(ApiKey.id).where(_live, ApiKey.id.in_(list(ids)))))


def any_live(session: Session) -> bool:
    """Return whether any key is valid."""
    return session.scalar(select(ApiKey.id).where(_live).limit(1)) is not None


def listing(session: Session) -> list[dict[str, Any]]:
    """Return all keys, ordered by name and id, each with its state: live, expired or revoked."""
    names = ("id", "name", "hint", "scopes", "created_at", "expires_at", "revoked_at", "last_used_at")
    state = case((_live, "live"), (ApiKey.revoked_at.is_not(None), "revoked"), (true(), "expired")).label("state")
    rows = session.execute(select(*[getattr(ApiKey, name) for name in names], state).order_by(ApiKey.name, ApiKey.id))
    return [dict(row._mapping) for row in rows]


def count_live(session: Session, name: str) -> int:
    """Return the number of live keys of a name."""
    return session.scalar(select(func.count()).where(ApiKey.name == name, _live)) or 0
