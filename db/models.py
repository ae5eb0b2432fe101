"""The tables: what was reported, what was said about it, what is promised, and what became of it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Text,
    UniqueConstraint,
    false,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from db.time import UtcDateTime, now

Id = BigInteger().with_variant(Integer(), "sqlite")
Json = JSON().with_variant(JSONB(), "postgresql")


class Base(DeclarativeBase):
    """Every table's base; constraint names are fixed so that migrations can name them on both databases."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(column_0_N_label)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


class Ticket(Base):
    """What somebody reported, with the current verdict's values and who set each of them."""

    __tablename__ = "tickets"
    __table_args__ = (
        UniqueConstraint("source", "external_id"),
        Index("ix_tickets_requester", "requester", "created_at"),
        Index(
            "ix_tickets_open",
            "classified_at",
            postgresql_where=text("status = 'open'"),
            sqlite_where=text("status = 'open'"),
        ),
        Index(
            "ix_tickets_unfinished",
            "created_at",
            postgresql_where=text("notified_at IS NULL"),
            sqlite_where=text("notified_at IS NULL"),
        ),
        Index(
            "ix_tickets_assignee",
            "assignee",
            postgresql_where=text("assignee IS NOT NULL"),
            sqlite_where=text("assignee IS NOT NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=True)
    source: Mapped[str] = mapped_column(String(40))
    external_id: Mapped[str | None] = mapped_column(String(200))
    #: The submission exactly as it came, as ASCII JSON, whatever bytes it held.
    raw: Mapped[str] = mapped_column(Text)
    title: Mapped[str] = mapped_column(Text, default="")
    description: Mapped[str] = mapped_column(Text, default="")
    requester: Mapped[str] = mapped_column(String(254), default="")
    department: Mapped[str] = mapped_column(String(200), default="")
    language: Mapped[str] = mapped_column(String(8), default="")
    claimed_priority: Mapped[str | None] = mapped_column(String(16))
    category: Mapped[str | None] = mapped_column(String(80))
    category_by: Mapped[str | None] = mapped_column(String(16))
    priority: Mapped[str | None] = mapped_column(String(16))
    priority_by: Mapped[str | None] = mapped_column(String(16))
    confidence: Mapped[float | None] = mapped_column(Float)
    needs_review: Mapped[bool] = mapped_column(Boolean, default=False, server_default=false())
    status: Mapped[str] = mapped_column(String(16), default="open", server_default="open")
    assignee: Mapped[str | None] = mapped_column(String(254))
    duplicate_of: Mapped[int | None] = mapped_column(ForeignKey("tickets.id", ondelete="SET NULL"))
    #: The incident that a burst of similar tickets was taken for; see `Incident`.
    incident_id: Mapped[int | None] = mapped_column(ForeignKey("incidents.id", ondelete="SET NULL"))
    #: What resolved it, in the words of who did.
    resolution: Mapped[str] = mapped_column(Text, default="", server_default="")
    resolved_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    #: How far the journey came: received, prepared, classified, notified.
    stage: Mapped[str] = mapped_column(String(16), default="received", server_default="received")
    #: Grows with every material change of the verdict; part of each notification's dedupe key.
    version: Mapped[int] = mapped_column(Integer, default=1, server_default="1")
    #: The newest version that people were told about; 0 before the first time.
    notified_version: Mapped[int] = mapped_column(Integer, default=0, server_default="0")
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now())
    classified_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    notified_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class VerdictRecord(Base):
    """What an engine said about a ticket; append-only."""

    __tablename__ = "verdicts"
    __table_args__ = (
        Index("ix_verdicts_ticket", "ticket_id", "id"),
        Index(
            "ix_verdicts_fallback",
            "created_at",
            postgresql_where=text("fallback <> ''"),
            sqlite_where=text("fallback <> ''"),
        ),
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=True)
    ticket_id: Mapped[int] = mapped_column(ForeignKey("tickets.id", ondelete="CASCADE"))
    category: Mapped[str] = mapped_column(String(80))
    confidence: Mapped[float] = mapped_column(Float)
    priority: Mapped[str] = mapped_column(String(16))
    priority_confidence: Mapped[float] = mapped_column(Float)
    reason: Mapped[str] = mapped_column(Text)
    needs_review: Mapped[bool] = mapped_column(Boolean)
    engine: Mapped[str] = mapped_column(String(40))
    model: Mapped[str] = mapped_column(String(80))
    prompt_version: Mapped[str] = mapped_column(String(40), default="")
    #: Why another engine than the configured one answered; empty when the configured one did.
    fallback: Mapped[str] = mapped_column(Text, default="")
    #: What the other engine said when it was asked too and disagreed, such as "local: Network, high".
    disagreement: Mapped[str] = mapped_column(Text, default="", server_default="")
    summary: Mapped[str] = mapped_column(Text, default="", server_default="")
    sentiment: Mapped[str] = mapped_column(String(16), default="", server_default="")
    language: Mapped[str] = mapped_column(String(8), default="", server_default="")
    #: What the requester can try meanwhile, a sentence each.
    self_fix: Mapped[list[str]] = mapped_column(Json, default=list, server_default="[]")
    #: The words that decided.
    words: Mapped[list[str]] = mapped_column(Json, default=list, server_default="[]")
    suggested_agent: Mapped[str | None] = mapped_column(String(200))
    #: Resolved tickets like this one: id, title, score and resolution of each.
    similar: Mapped[list[dict[str, Any]]] = mapped_column(Json, default=list, server_default="[]")
    #: Hours until half, and nine in ten, of the similar tickets were resolved.
    resolution_p50: Mapped[float | None] = mapped_column(Float)
    resolution_p90: Mapped[float | None] = mapped_column(Float)
    input_tokens: Mapped[int] = mapped_column(Integer, default=0)
    output_tokens: Mapped[int] = mapped_column(Integer, default=0)
    #: US dollars, by the price table of its day.
    cost: Mapped[float] = mapped_column(Float, default=0.0, server_default="0")
    #: Whether the answer to an equal ticket was used again.
    cached: Mapped[bool] = mapped_column(Boolean, default=False, server_default=false())
    latency_ms: Mapped[float] = mapped_column(Float, default=0.0)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now())


class Correction(Base):
    """A human's override of what an engine said; the local model learns from it, and OpenAI sees it as an example."""

    __tablename__ = "corrections"
    __table_args__ = (Index("ix_corrections_ticket", "ticket_id", "id"),)

    id: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=True)
    ticket_id: Mapped[int] = mapped_column(ForeignKey("tickets.id", ondelete="CASCADE"))
    #: category or priority.
    field: Mapped[str] = mapped_column(String(16))
    #: What the ticket said before, and who had said so; the same as `new` when a human confirmed it.
    old: Mapped[str | None] = mapped_column(String(80))
    old_by: Mapped[str | None] = mapped_column(String(16))
    new: Mapped[str] = mapped_column(String(80))
    #: The engine and the confidence of the verdict that was current.
    engine: Mapped[str] = mapped_column(String(40), default="")
    confidence: Mapped[float | None] = mapped_column(Float)
    author: Mapped[str] = mapped_column(String(254))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now(), index=True)


class AiCall(Base):
    """One request to a remote engine: exactly what left the house, and what came of it."""

    __tablename__ = "ai_calls"
    __table_args__ = (Index("ix_ai_calls_ticket", "ticket_id", "id"),)

    id: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=True)
    ticket_id: Mapped[int] = mapped_column(ForeignKey("tickets.id", ondelete="CASCADE"))
    model: Mapped[str] = mapped_column(String(80))
    prompt_version: Mapped[str] = mapped_column(String(40))
    #: The text about the ticket as it was sent, masked.
    sent: Mapped[str] = mapped_column(Text)
    #: How many of each kind were masked, such as {"email": 2}.
    masked: Mapped[dict[str, int]] = mapped_column(Json, default=dict)
    #: "answered", or why there was no answer.
    outcome: Mapped[str] = mapped_column(Text)
    input_tokens: Mapped[int] = mapped_column(Integer, default=0)
    output_tokens: Mapped[int] = mapped_column(Integer, default=0)
    cost: Mapped[float] = mapped_column(Float, default=0.0)
    latency_ms: Mapped[float] = mapped_column(Float, default=0.0)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now(), index=True)


class LocalModel(Base):
    """A version of the local model that was learned here; the one that is active is used by every worker."""

    __tablename__ = "local_models"

    version: Mapped[str] = mapped_column(String(80), primary_key=True)
    #: The JSON of the model, gzipped.
    body: Mapped[bytes] = mapped_column(LargeBinary)
    #: How good it was on held-back tickets, and from what it was learned.
    report: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)
    active: Mapped[bool] = mapped_column(Boolean, default=False, server_default=false())
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now())


class Incident(Base):
    """A burst of similar tickets, proposed as one major incident; its parent is the ticket that stands for all."""

    __tablename__ = "incidents"

    id: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=True)
    title: Mapped[str] = mapped_column(Text)
    category: Mapped[str] = mapped_column(String(80))
    #: proposed, accepted or dismissed.
    state: Mapped[str] = mapped_column(String(16), default="proposed", server_default="proposed")
    #: The ticket that stands for all, once the incident was accepted.
    parent_id: Mapped[int | None] = mapped_column(BigInteger)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now())
    #: When the newest of its tickets came in.
    grew_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now())


class Job(Base):
    """A promise of one piece of work to one actor; the row exists from the promise until it is kept or buried.

    due, un-hinted -> hinted (a RabbitMQ message names it) -> leased (a worker runs it) -> gone, or due again.
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
            # an id is never given twice, so that nobody cancels another job, and the ledger tells one job's story
            "sqlite_autoincrement": True,
            # rows come and go by the thousand a second: vacuum often, for the due index is read at its front
            "postgresql_with": {"autovacuum_vacuum_scale_factor": 0.02, "autovacuum_vacuum_cost_delay": 0},
        },
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=True)
    actor: Mapped[str] = mapped_column(String(80))
    #: What the work is about: the ticket's id for a step, the notification's id for a delivery.
    key: Mapped[str] = mapped_column(String(200))
    args: Mapped[list[Any]] = mapped_column(Json, default=list)
    pipeline: Mapped[str] = mapped_column(String(80), default="")
    #: The steps that follow this one; the rest of the chain rides in the job.
    then: Mapped[list[str]] = mapped_column(Json, default=list)
    priority: Mapped[int] = mapped_column(Integer, default=0)
    due_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now())
    hinted_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    lease: Mapped[str | None] = mapped_column(String(32))
    worker: Mapped[str | None] = mapped_column(String(32))
    attempts: Mapped[int] = mapped_column(Integer, default=0, server_default="0")
    #: Claims that ended neither kept nor failed: the worker died with it.
    crashes: Mapped[int] = mapped_column(Integer, default=0, server_default="0")
    #: Promised once more while it was running: it runs again afterwards.
    again: Mapped[bool] = mapped_column(Boolean, default=False, server_default=false())
    #: How often a person replayed it after it was given up.
    replays: Mapped[int] = mapped_column(Integer, default=0, server_default="0")
    last_error: Mapped[str | None] = mapped_column(Text)
    traceparent: Mapped[str | None] = mapped_column(String(64))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now())


class Attempt(Base):
    """One try at a job, kept as a ledger after the job is gone."""

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
    #: kept, retry, dead or crashed.
    outcome: Mapped[str] = mapped_column(String(16))
    error: Mapped[str | None] = mapped_column(Text)
    #: Seconds the batch took in which this job was tried.
    seconds: Mapped[float] = mapped_column(Float)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now())


class Worker(Base):
    """One boot of one process that works or relays; a worker's leases are good while its heartbeat is fresh."""

    __tablename__ = "workers"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    #: worker or relay.
    kind: Mapped[str] = mapped_column(String(8), default="worker", server_default="worker")
    name: Mapped[str] = mapped_column(String(200))
    started_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now())
    heartbeat_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now())


class DeadLetter(Base):
    """A job that was given up, or a message that could not be read, with everything needed to replay it."""

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
    then: Mapped[list[str]] = mapped_column(Json, default=list)
    priority: Mapped[int] = mapped_column(Integer, default=0)
    attempts: Mapped[int] = mapped_column(Integer, default=0)
    #: How often this work was replayed before it died this time.
    replays: Mapped[int] = mapped_column(Integer, default=0, server_default="0")
    error_type: Mapped[str] = mapped_column(String(200))
    error: Mapped[str] = mapped_column(Text)
    traceback: Mapped[str] = mapped_column(Text, default="")
    #: The same for the same error at the same place, so that a hundred alike are one line.
    fingerprint: Mapped[str] = mapped_column(String(12))
    #: The message's bytes, when what died was a message that could not be read.
    raw: Mapped[bytes | None] = mapped_column(LargeBinary)
    #: dead, replayed or discarded.
    state: Mapped[str] = mapped_column(String(16), default="dead", server_default="dead")
    reason: Mapped[str] = mapped_column(Text, default="", server_default="")
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now())
    resolved_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class QueueControl(Base):
    """What holds a queue back: a pause, a limit of jobs that run at once, or both."""

    __tablename__ = "queue_controls"

    queue: Mapped[str] = mapped_column(String(80), primary_key=True)
    #: Paused until it is resumed, whatever `paused_until` says.
    paused: Mapped[bool] = mapped_column(Boolean, default=False, server_default=false())
    paused_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    #: Most jobs that run at once, across all workers; None is no limit.
    job_limit: Mapped[int | None] = mapped_column(Integer)
    reason: Mapped[str] = mapped_column(Text, default="", server_default="")
    changed_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now())


class Notification(Base):
    """One message to one recipient on one channel; the dedupe key makes it once."""

    __tablename__ = "notifications"
    __table_args__ = (
        Index("ix_notifications_ticket", "ticket_id"),
        Index("ix_notifications_recipient", "recipient", "id"),
    )

    #: A UUID; the Message-ID of its e-mail and the key of its delivery.
    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    ticket_id: Mapped[int | None] = mapped_column(ForeignKey("tickets.id", ondelete="CASCADE"))
    event: Mapped[str] = mapped_column(String(80))
    channel: Mapped[str] = mapped_column(String(40))
    recipient: Mapped[str] = mapped_column(String(254))
    role: Mapped[str] = mapped_column(String(40), default="")
    dedupe_key: Mapped[str] = mapped_column(String(400), unique=True)
    subject: Mapped[str] = mapped_column(Text)
    body: Mapped[str] = mapped_column(Text)
    html: Mapped[str] = mapped_column(Text, default="")
    #: promised or sent; a delivery that was given up is a dead letter, and the row stays promised.
    state: Mapped[str] = mapped_column(String(16), default="promised")
    provider_id: Mapped[str] = mapped_column(Text, default="")
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now())
    sent_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    read_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class Event(Base):
    """Something that became true, waiting to be published to the `tickets` exchange; gone once confirmed."""

    __tablename__ = "events"

    #: A UUID, the CloudEvents id: receivers drop a repeat by it.
    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    routing_key: Mapped[str] = mapped_column(String(255))
    subject: Mapped[str] = mapped_column(String(80))
    data: Mapped[dict[str, Any]] = mapped_column(Json)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now(), index=True)


class Agent(Base):
    """A person of the service desk, with what they know and how much they can take on."""

    __tablename__ = "agents"

    id: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=True)
    name: Mapped[str] = mapped_column(String(200), unique=True)
    email: Mapped[str] = mapped_column(String(254))
    team: Mapped[str] = mapped_column(String(80), default="")
    skills: Mapped[list[str]] = mapped_column(Json, default=list)
    capacity: Mapped[int] = mapped_column(Integer, default=10)
    available: Mapped[bool] = mapped_column(Boolean, default=True)


class IdempotencyKey(Base):
    """What an `Idempotency-Key` was answered with, so that a repeated request gets the same answer."""

    __tablename__ = "idempotency_keys"

    key: Mapped[str] = mapped_column(String(255), primary_key=True)
    fingerprint: Mapped[str] = mapped_column(String(64))
    ticket_id: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now(), index=True)


class Lease(Base):
    """Who leads something that only one process may do; the term fences off a leader that slept."""

    __tablename__ = "leases"

    name: Mapped[str] = mapped_column(String(80), primary_key=True)
    holder: Mapped[str] = mapped_column(String(32))
    term: Mapped[int] = mapped_column(Integer)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)


class ScheduleRun(Base):
    """One slot of one scheduled job; the unique pair makes two clocks fire once."""

    __tablename__ = "schedule_runs"
    __table_args__ = (UniqueConstraint("job", "slot"),)

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
