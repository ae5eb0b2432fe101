"""Table of OAuth logins."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from db.encryption import EncryptedText
from db.models.base import Base
from db.time import UtcDateTime, now


class OAuthLogin(Base):
    """The login of a mailbox at a provider. The refresh token is encrypted with a key that is not in the database."""

    __tablename__ = "oauth_logins"

    provider: Mapped[str] = mapped_column(String(16), primary_key=True)
    mailbox: Mapped[str] = mapped_column(String(320), primary_key=True)
    refresh_token: Mapped[str] = mapped_column(EncryptedText("oauth_logins.refresh_token"))
    #: When a person logged in, and when the provider last accepted or replaced the refresh token.
    logged_in_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now())
    renewed_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now())
