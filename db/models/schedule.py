"""Tables of the scheduler: the leader lease, the runs of scheduled jobs, the metric samples for charts, and alerts."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Boolean, Float, Index, Integer, String, Text, UniqueConstraint, false
from sqlalchemy.orm import Mapped, mapped_column

from db.models.base import Base, Id
from db.time import UtcDateTime, now


class LeaderLease(Base):
    """The lease of the one process that leads; a new leader raises `term`, which fences off a stalled one."""

    __tablename__ = "leader_leases"

    name: Mapped[str] = mapped_column(String(80), primary_key=True)
    holder: Mapped[str] = mapped_column(String(32))
    term: Mapped[int] = mapped_column(Integer)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)


class ScheduleRun(Base):
    """One run of a scheduled job; the unique pair of job and time makes two schedulers run it once."""

    __tablename__ = "schedule_runs"
    __table_args__ = (UniqueConstraint("job", "scheduled_at"), Index("ix_schedule_runs_started", "started_at"))

    id: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=True)
    job: Mapped[str] = mapped_column(String(80))
    scheduled_at: Mapped[datetime] = mapped_column(UtcDateTime)
    term: Mapped[int] = mapped_column(Integer)
    started_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now())
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    note: Mapped[str] = mapped_column(Text, default="")


class ScheduleControl(Base):
    """The pause of a scheduled job, and its schedule."""

    __tablename__ = "schedule_controls"

    job: Mapped[str] = mapped_column(String(80), primary_key=True)
    paused: Mapped[bool] = mapped_column(Boolean, default=False, server_default=false())
    reason: Mapped[str] = mapped_column(Text, default="", server_default="")
    changed_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now())
    #: The crontab expression and zone that the leader follows, and since when: no run was missed before a change or a pause.
    schedule: Mapped[str | None] = mapped_column(Text)
    schedule_since: Mapped[datetime | None] = mapped_column(UtcDateTime)


class MetricSample(Base):
    """The value of a metric at a minute, for charts."""

    __tablename__ = "metric_samples"
    __table_args__ = (Index("ix_metric_samples_at", "at"),)

    name: Mapped[str] = mapped_column(String(80), primary_key=True)
    at: Mapped[datetime] = mapped_column(UtcDateTime, primary_key=True)
    value: Mapped[float] = mapped_column(Float)


class Alert(Base):
    """A condition that an alert rule found: pending since `since`, firing since `fired_at`, until `resolved_at`."""

    __tablename__ = "alerts"

    name: Mapped[str] = mapped_column(String(80), primary_key=True)
    detail: Mapped[str] = mapped_column(Text, default="", server_default="")
    since: Mapped[datetime] = mapped_column(UtcDateTime)
    seen_at: Mapped[datetime] = mapped_column(UtcDateTime)
    fired_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    #: When the operators were notified of its present state, of the firing or of the end.
    notified_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    resolved_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
