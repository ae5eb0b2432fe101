"""Access: the keys of programs, the people who log in, and what each of them did."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Boolean, ForeignKey, Index, String, false
from sqlalchemy.orm import Mapped, mapped_column

from db.models.base import Base, Id, Json
from db.time import UtcDateTime, now


class ApiKey(Base):
    """A key with which a program asks; the key itself is shown once, and only its digest is kept."""

    __tablename__ = "api_keys"
    __table_args__ = (Index("ix_api_keys_name", "name"),)

    id: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=True)
    #: Whose it is; a name has two live keys at most, so that one can take over from the other.
    name: Mapped[str] = mapped_column(String(80))
    #: SHA-256 of the key; the key is 256 random bits, which nobody tries through.
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    #: Its beginning, by which people tell keys apart.
    hint: Mapped[str] = mapped_column(String(16))
    scopes: Mapped[list[str]] = mapped_column(Json, default=list)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now())
    expires_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    revoked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    #: Written once a minute at most.
    last_used_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class User(Base):
    """Somebody who logs in."""

    __tablename__ = "users"

    id: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=True)
    name: Mapped[str] = mapped_column(String(80), unique=True)
    #: The argon2id hash.
    password: Mapped[str] = mapped_column(String(200))
    #: viewer, operator or admin.
    role: Mapped[str] = mapped_column(String(16))
    disabled: Mapped[bool] = mapped_column(Boolean, default=False, server_default=false())
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now())


class UserSession(Base):
    """A browser that is logged in; its cookie holds a random token, of which the digest is kept."""

    __tablename__ = "user_sessions"

    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    #: What every form of this browser must bring along.
    csrf: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now())
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)


class AuditEntry(Base):
    """Who did what, on what, when and from where; append-only."""

    __tablename__ = "audit_log"
    __table_args__ = (
        Index("ix_audit_log_subject", "subject", "id"),
        Index("ix_audit_log_at", "at"),
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=True)
    at: Mapped[datetime] = mapped_column(UtcDateTime, default=now())
    who: Mapped[str] = mapped_column(String(120))
    #: Such as queue.pause.
    action: Mapped[str] = mapped_column(String(40))
    #: Such as ticket/17.
    subject: Mapped[str] = mapped_column(String(250))
    details: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)
    address: Mapped[str] = mapped_column(String(64), default="", server_default="")
