"""Tables of access: API keys, users, sessions, failed logins, and the audit log."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Boolean, ForeignKey, Index, String, false
from sqlalchemy.orm import Mapped, mapped_column

from db.encryption import EncryptedText
from db.models.base import Base, Id, Json
from db.time import UtcDateTime, now


class ApiKey(Base):
    """An API key. Its secret is shown once; only the digest is stored."""

    __tablename__ = "api_keys"
    __table_args__ = (Index("ix_api_keys_name", "name"),)

    id: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=True)
    #: The program that uses it. A name has at most two live keys, so that one can replace the other.
    name: Mapped[str] = mapped_column(String(80))
    #: SHA-256 of the secret, which has 256 random bits.
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    #: The first characters of the secret, by which people recognise the key.
    hint: Mapped[str] = mapped_column(String(16))
    scopes: Mapped[list[str]] = mapped_column(Json, default=list)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now())
    expires_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    revoked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    #: Updated at most once a minute.
    last_used_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class User(Base):
    """A user who can log in."""

    __tablename__ = "users"

    id: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=True)
    name: Mapped[str] = mapped_column(String(80), unique=True)
    #: An argon2id hash, or `db.passwords.NO_PASSWORD`.
    password: Mapped[str] = mapped_column(String(200))
    #: viewer, operator or admin.
    role: Mapped[str] = mapped_column(String(16))
    #: The base32 seed of the one-time passwords; it takes effect with `totp_since`.
    totp_seed: Mapped[str | None] = mapped_column(EncryptedText("users.totp_seed"))
    totp_since: Mapped[datetime | None] = mapped_column(UtcDateTime)
    #: The time step of the last accepted code, which is not accepted again.
    totp_step: Mapped[int | None] = mapped_column(BigInteger)
    disabled: Mapped[bool] = mapped_column(Boolean, default=False, server_default=false())
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now())


class UserSession(Base):
    """A session of a browser. Its cookie holds a random token; the digest is stored."""

    __tablename__ = "user_sessions"

    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    #: The CSRF token that each form of the session sends.
    csrf: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now())
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    #: Updated at most once a minute.
    last_seen_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    address: Mapped[str] = mapped_column(String(64), default="", server_default="")
    user_agent: Mapped[str] = mapped_column(String(200), default="", server_default="")


class LoginLink(Base):
    """A login link that was not used. Its address holds a random token; the digest is stored."""

    __tablename__ = "login_links"

    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)


class RecoveryCode(Base):
    """A recovery code that was not used; the digest is stored."""

    __tablename__ = "recovery_codes"

    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    digest: Mapped[str] = mapped_column(String(64), primary_key=True)


class LoginFailure(Base):
    """The failed logins of an account, a network or a device since a time."""

    __tablename__ = "login_failures"

    key: Mapped[str] = mapped_column(String(120), primary_key=True)
    failures: Mapped[int]
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)


class AuditEntry(Base):
    """An entry of the audit log, which is append-only."""

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


class SigningKey(Base):
    """A secret key of this installation by its purpose; its first use makes it."""

    __tablename__ = "signing_keys"

    name: Mapped[str] = mapped_column(String(40), primary_key=True)
    secret: Mapped[str] = mapped_column(EncryptedText("signing_keys.secret"))
