"""Tables about the database itself: the fence and the probe of writing."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, Integer, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from db.models.base import Base
from db.time import UtcDateTime, now


class DatabaseFence(Base):
    """One row that knows on which server, and on which timeline of it, Aura wrote last (see `db.fence`)."""

    __tablename__ = "database_fence"

    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    system: Mapped[str] = mapped_column(String(40))
    timeline: Mapped[str] = mapped_column(String(8))
    beat: Mapped[int] = mapped_column(BigInteger)
    beaten_at: Mapped[datetime] = mapped_column(UtcDateTime)


class WriteProbe(Base):
    """A row that a probe inserts and deletes at once (see `db.write_probe`)."""

    __tablename__ = "write_probes"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    at: Mapped[datetime] = mapped_column(UtcDateTime, default=now())
    filler: Mapped[bytes] = mapped_column(LargeBinary)
