"""The clock: who leads it, and which slots of the timetable ran."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Boolean, Float, Index, Integer, String, Text, UniqueConstraint, false
from sqlalchemy.orm import Mapped, mapped_column

from db.models.base import Base, Id
from db.time import UtcDateTime, now


class LeaderLease(Base):
    """Who leads something that only one process may do; the term fences off a leader that slept."""

    __tablename__ = "leader_leases"

    name: Mapped[str] = mapped_column(String(80), primary_key=True)
    holder: Mapped[str] = mapped_column(String(32))
    term: Mapped[int] = mapped_column(Integer)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)


class ScheduleRun(Base):
    """One slot of one scheduled job; the unique pair makes two clocks fire once."""

    __tablename__ = "schedule_runs"
    __table_args__ = (UniqueConstraint("job", "slot"), Index("ix_schedule_runs_started", "started_at"))

    id: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=True)
    job: Mapped[str] = mapped_column(String(80))
    slot: Mapped[datetime] = mapped_column(UtcDateTime)
    term: Mapped[int] = mapped_column(Integer)
    started_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now())
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    note: Mapped[str] = mapped_column(Text, default="")


class ScheduleControl(Base):
    """What an operator has said of a scheduled job."""

    __tablename__ = "schedule_controls"

    job: Mapped[str] = mapped_column(String(80), primary_key=True)
    paused: Mapped[bool] = mapped_column(Boolean, default=False, server_default=false())
    reason: Mapped[str] = mapped_column(Text, default="", server_default="")
    changed_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now())


class MetricSample(Base):
    """A figure at a moment, for charts."""

    __tablename__ = "metric_samples"
    __table_args__ = (Index("ix_samples_at", "at"),)

    name: Mapped[str] = mapped_column(String(80), primary_key=True)
    at: Mapped[datetime] = mapped_column(UtcDateTime, primary_key=True)
    value: Mapped[float] = mapped_column(Float)
