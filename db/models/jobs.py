"""Jobs, attempts, workers, dead letters, queue controls and the outbox."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Float,
    Index,
    Integer,
    LargeBinary,
    String,
    Text,
    UniqueConstraint,
    false,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from db.models.base import Base, Id, Json
from db.time import UtcDateTime, now


class Job(Base):
    """One job of one actor; the row exists until the job is completed, cancelled or dead-lettered.

    available -> queued (a RabbitMQ message names it) -> running (a worker's lease holds it) -> deleted, or due again.
    """

    __tablename__ = "jobs"
    __table_args__ = (
        UniqueConstraint("key", "actor", "pipeline"),
        Index(
            "ix_jobs_due",
            "actor",
            "priority",
            "due_at",
            "id",
            postgresql_where=text("hinted_at IS NULL AND lease IS NULL"),
            sqlite_where=text("hinted_at IS NULL AND lease IS NULL"),
        ),
        Index(
            "ix_jobs_share",
            "actor",
            "priority",
            "share",
            "due_at",
            "id",
            postgresql_where=text("hinted_at IS NULL AND lease IS NULL"),
            sqlite_where=text("hinted_at IS NULL AND lease IS NULL"),
        ),
        Index(
            "ix_jobs_hinted",
            "actor",
            "hinted_at",
            postgresql_where=text("hinted_at IS NOT NULL AND lease IS NULL"),
            sqlite_where=text("hinted_at IS NOT NULL AND lease IS NULL"),
        ),
        Index(
            "ix_jobs_worker",
            "worker",
            postgresql_where=text("lease IS NOT NULL"),
            sqlite_where=text("lease IS NOT NULL"),
        ),
        Index("ix_jobs_suspect", "id", postgresql_where=text("crashes > 1"), sqlite_where=text("crashes > 1")),
        {
            # an id is never used twice, so that no one cancels another job, and attempts belong to one job
            "sqlite_autoincrement": True,
            # rows come and go by the thousand a second: vacuum often, for the due index is read at its front
            "postgresql_with": {"autovacuum_vacuum_scale_factor": 0.02, "autovacuum_vacuum_cost_delay": 0},
        },
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=True)
    actor: Mapped[str] = mapped_column(String(80))
    #: The id of the ticket for a step, of the notification for a delivery.
    key: Mapped[str] = mapped_column(String(200))
    args: Mapped[list[Any]] = mapped_column(Json, default=list)
    pipeline: Mapped[str] = mapped_column(String(80), default="")
    #: The steps of the pipeline that follow this one.
    next_steps: Mapped[list[str]] = mapped_column(Json, default=list)
    priority: Mapped[int] = mapped_column(Integer, default=0)
    #: Source and requester of its ticket as a number, by which the relay dispatches in turn (`db.fair_shares`).
    share: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    due_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now())
    hinted_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    lease: Mapped[str | None] = mapped_column(String(32))
    worker: Mapped[str | None] = mapped_column(String(32))
    attempts: Mapped[int] = mapped_column(Integer, default=0, server_default="0")
    #: Claims that ended without an outcome: the worker died.
    crashes: Mapped[int] = mapped_column(Integer, default=0, server_default="0")
    #: Enqueued once more while it was running: it runs again afterwards.
    rerun: Mapped[bool] = mapped_column(Boolean, default=False, server_default=false())
    #: How often it was replayed from a dead letter.
    replays: Mapped[int] = mapped_column(Integer, default=0, server_default="0")
    last_error: Mapped[str | None] = mapped_column(Text)
    traceparent: Mapped[str | None] = mapped_column(String(64))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now())


class Attempt(Base):
    """One attempt at a job; the rows stay after the job is deleted."""

    __tablename__ = "attempts"
    __table_args__ = (
        Index("ix_attempts_key", "key", "id"),
        Index("ix_attempts_created", "created_at", postgresql_using="brin"),
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=True)
    job_id: Mapped[int] = mapped_column(BigInteger)
    actor: Mapped[str] = mapped_column(String(80))
    key: Mapped[str] = mapped_column(String(200))
    pipeline: Mapped[str] = mapped_column(String(80), default="")
    number: Mapped[int] = mapped_column(Integer)
    worker: Mapped[str] = mapped_column(String(32))
    #: completed, retried, dead or crashed.
    outcome: Mapped[str] = mapped_column(String(16))
    error: Mapped[str | None] = mapped_column(Text)
    #: Seconds of the batch with this job.
    seconds: Mapped[float] = mapped_column(Float)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now())


class Worker(Base):
    """One boot of a worker or relay; a worker's leases are valid while its heartbeat is fresh."""

    __tablename__ = "workers"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    #: worker or relay.
    kind: Mapped[str] = mapped_column(String(8), default="worker", server_default="worker")
    name: Mapped[str] = mapped_column(String(200))
    #: The version of Aura; a deploy changes it worker by worker.
    version: Mapped[str] = mapped_column(String(40), default="", server_default="")
    #: What keeps it from its work for the moment, such as a broker that blocks publishers; empty: nothing.
    problem: Mapped[str] = mapped_column(String(300), default="", server_default="")
    #: When it was asked to complete its jobs and end.
    drain_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    started_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now())
    heartbeat_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now())


class DeadLetter(Base):
    """A job that failed finally, or a message that could not be read, with everything needed to replay it."""

    __tablename__ = "dead_letters"
    __table_args__ = (
        Index("ix_dead_letters_state", "state", "id"),
        Index("ix_dead_letters_key", "key"),
        Index("ix_dead_letters_fingerprint", "fingerprint", "id"),
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=True)
    job_id: Mapped[int | None] = mapped_column(BigInteger)
    actor: Mapped[str] = mapped_column(String(80))
    key: Mapped[str] = mapped_column(String(200))
    args: Mapped[list[Any]] = mapped_column(Json, default=list)
    pipeline: Mapped[str] = mapped_column(String(80), default="")
    next_steps: Mapped[list[str]] = mapped_column(Json, default=list)
    priority: Mapped[int] = mapped_column(Integer, default=0)
    attempts: Mapped[int] = mapped_column(Integer, default=0)
    #: How often the job was replayed before.
    replays: Mapped[int] = mapped_column(Integer, default=0, server_default="0")
    error_type: Mapped[str] = mapped_column(String(200))
    error: Mapped[str] = mapped_column(Text)
    traceback: Mapped[str] = mapped_column(Text, default="")
    #: The same for the same type of error at the same place; groups are made by it.
    fingerprint: Mapped[str] = mapped_column(String(12))
    #: The bytes of a message that could not be read.
    raw: Mapped[bytes | None] = mapped_column(LargeBinary)
    #: dead, replayed or discarded.
    state: Mapped[str] = mapped_column(String(16), default="dead", server_default="dead")
    reason: Mapped[str] = mapped_column(Text, default="", server_default="")
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now())
    resolved_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class QueueControl(Base):
    """The pause of a queue, its limit of running jobs, or both."""

    __tablename__ = "queue_controls"

    queue: Mapped[str] = mapped_column(String(80), primary_key=True)
    #: Paused until it is resumed; `paused_until` does not matter then.
    paused: Mapped[bool] = mapped_column(Boolean, default=False, server_default=false())
    paused_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    #: Most jobs that run at once, across all workers; None is no limit.
    job_limit: Mapped[int | None] = mapped_column(Integer)
    reason: Mapped[str] = mapped_column(Text, default="", server_default="")
    changed_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now())


class OutboxEvent(Base):
    """An event that waits to be published; deleted once confirmed."""

    __tablename__ = "outbox"
    __table_args__ = ({"postgresql_with": {"autovacuum_vacuum_scale_factor": 0.02, "autovacuum_vacuum_cost_delay": 0}},)

    #: A UUID, the CloudEvents id, by which receivers drop duplicates.
    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    routing_key: Mapped[str] = mapped_column(String(255))
    subject: Mapped[str] = mapped_column(String(80))
    data: Mapped[dict[str, Any]] = mapped_column(Json)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now(), index=True)


class IdempotencyKey(Base):
    """The ticket that a request with an `Idempotency-Key` created, so that a repeated request gets the same answer."""

    __tablename__ = "idempotency_keys"

    key: Mapped[str] = mapped_column(String(255), primary_key=True)
    fingerprint: Mapped[str] = mapped_column(String(64))
    ticket_id: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now(), index=True)
