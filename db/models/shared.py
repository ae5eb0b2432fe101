"""Tables of state that all workers share without Redis: counters of AI costs, and texts that expire."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from db.models.base import Base
from db.time import UtcDateTime


class SharedCounter(Base):
    """A counter of whole numbers, such as the costs of a day in millionths of a dollar."""

    __tablename__ = "shared_counters"

    key: Mapped[str] = mapped_column(String(120), primary_key=True)
    amount: Mapped[int] = mapped_column(BigInteger)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)


class SharedText(Base):
    """A text that expires: a cached answer, the claim of a running call, the pause of a provider."""

    __tablename__ = "shared_texts"

    key: Mapped[str] = mapped_column(String(120), primary_key=True)
    value: Mapped[str] = mapped_column(Text)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)
