"""Tickets: what was reported, what was said about it, by whom, and what belongs together."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Float,
    ForeignKey,
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


class Ticket(Base):
    """What somebody reported, with the current verdict's values and who set each of them."""

    __tablename__ = "tickets"
    __table_args__ = (
        UniqueConstraint("source", "external_id"),
        Index("ix_tickets_requester", "requester", "created_at"),
        Index(
            "ix_tickets_undone",
            "classified_at",
            postgresql_where=text("status IN ('open', 'in_progress', 'pending')"),
            sqlite_where=text("status IN ('open', 'in_progress', 'pending')"),
        ),
        Index(
            "ix_tickets_unfinished",
            "created_at",
            postgresql_where=text("notified_at IS NULL"),
            sqlite_where=text("notified_at IS NULL"),
        ),
        Index(
            "ix_tickets_sla",
            "sla_next_at",
            postgresql_where=text("sla_next_at IS NOT NULL"),
            sqlite_where=text("sla_next_at IS NOT NULL"),
        ),
        Index(
            "ix_tickets_changed",
            "changed_at",
            postgresql_where=text("changed_at > classified_at"),
            sqlite_where=text("changed_at > classified_at"),
        ),
        Index(
            "ix_tickets_review",
            "classified_at",
            postgresql_where=text("needs_review AND status = 'open'"),
            sqlite_where=text("needs_review AND status = 'open'"),
        ),
        Index(
            "ix_tickets_at_risk",
            "sla_state",
            "id",
            postgresql_where=text("sla_state IN ('warned', 'breached')"),
            sqlite_where=text("sla_state IN ('warned', 'breached')"),
        ),
        Index(
            "ix_tickets_assigned",
            "assignee",
            "id",
            postgresql_where=text("assignee IS NOT NULL"),
            sqlite_where=text("assignee IS NOT NULL"),
        ),
        Index("ix_tickets_priority", "priority", "id"),
        Index(
            "ix_tickets_due",
            "due_at",
            "id",
            postgresql_where=text("due_at IS NOT NULL AND status IN ('open', 'in_progress', 'pending')"),
            sqlite_where=text("due_at IS NOT NULL AND status IN ('open', 'in_progress', 'pending')"),
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
    #: None until somebody is found; "" when a person took it from everybody, and no routing gives it to anybody again.
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
    #: When it should be resolved, by the target of its priority; None while it is pending.
    due_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    #: When the clock looks next: to warn, then to escalate; None when there is nothing more to say.
    sla_next_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    #: How far it went: "" (in time), warned or breached.
    sla_state: Mapped[str] = mapped_column(String(16), default="", server_default="")
    #: Since when its time stands still (pending, resolved or closed), and the business seconds for which it did before.
    waiting_since: Mapped[datetime | None] = mapped_column(UtcDateTime)
    waited_seconds: Mapped[float] = mapped_column(Float, default=0.0, server_default="0")
    #: When somebody last changed its text or commented on it.
    changed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now())
    classified_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    notified_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class VerdictRecord(Base):
    """What an engine said about a ticket; append-only."""

    __tablename__ = "verdicts"
    __table_args__ = (
        Index("ix_verdicts_ticket", "ticket_id", "id"),
        Index(
            "ix_verdicts_wordy",
            "created_at",
            postgresql_where=text("reason <> ''"),
            sqlite_where=text("reason <> ''"),
        ),
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
    #: What is different from the verdict before, and why there is another one; empty for the first.
    change: Mapped[str] = mapped_column(Text, default="", server_default="")
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


class Comment(Base):
    """What somebody added to a ticket later, by mail, by the API, at the dashboard; or did to it, as a line of words."""

    __tablename__ = "comments"
    __table_args__ = (Index("ix_comments_ticket", "ticket_id", "id"),)

    id: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=True)
    ticket_id: Mapped[int] = mapped_column(ForeignKey("tickets.id", ondelete="CASCADE"))
    author: Mapped[str] = mapped_column(String(254))
    text: Mapped[str] = mapped_column(Text)
    #: mail, api, web or cli; `action` when it is no comment, but says what its author did to the ticket.
    source: Mapped[str] = mapped_column(String(16))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now())


class InboundMail(Base):
    """A mail that came in, with its bytes, and what became of it."""

    __tablename__ = "inbound_mails"
    __table_args__ = (Index("ix_mails_ticket", "ticket_id"),)

    id: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=True)
    #: Its Message-ID, or a digest of its bytes: the same mail twice is one mail.
    message_id: Mapped[str] = mapped_column(String(998), unique=True)
    sender: Mapped[str] = mapped_column(String(254), default="")
    raw: Mapped[bytes] = mapped_column(LargeBinary)
    #: ticket, comment, or why it was ignored.
    outcome: Mapped[str] = mapped_column(Text)
    ticket_id: Mapped[int | None] = mapped_column(ForeignKey("tickets.id", ondelete="SET NULL"))
    #: Name, type and size of each attachment; their bytes are in `raw` alone.
    attachments: Mapped[list[dict[str, Any]]] = mapped_column(Json, default=list, server_default="[]")
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now(), index=True)


class AnalysisBatch(Base):
    """Tickets that a remote engine looks at together, later and cheaper: one file sent to its Batch API."""

    __tablename__ = "analysis_batches"
    __table_args__ = (Index("ix_analysis_batches_state", "state", "id"),)

    id: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=True)
    #: planned, uploaded, submitted, answered, done or failed.
    state: Mapped[str] = mapped_column(String(16), default="planned", server_default="planned")
    model: Mapped[str] = mapped_column(String(80))
    prompt_version: Mapped[str] = mapped_column(String(40))
    #: The tickets that it is about: the id of each, and why it is looked at again.
    tickets: Mapped[list[tuple[int, str]]] = mapped_column(Json, default=list)
    #: The provider's ids of the file, of the batch, and of the files of answers and errors.
    input_file: Mapped[str] = mapped_column(String(200), default="", server_default="")
    provider_id: Mapped[str] = mapped_column(String(200), default="", server_default="")
    output_file: Mapped[str] = mapped_column(String(200), default="", server_default="")
    error_file: Mapped[str] = mapped_column(String(200), default="", server_default="")
    #: How many were answered, and how many go on alone.
    answered: Mapped[int] = mapped_column(Integer, default=0, server_default="0")
    failed: Mapped[int] = mapped_column(Integer, default=0, server_default="0")
    cost: Mapped[float] = mapped_column(Float, default=0.0, server_default="0")
    note: Mapped[str] = mapped_column(Text, default="", server_default="")
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now())
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
