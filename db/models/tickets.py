"""Tables of tickets: verdicts, corrections, comments, incidents, inbound mail, calls to the AI provider, local models."""

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
    func,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from db.models.base import Base, Id, Json
from db.time import UtcDateTime, now


class Ticket(Base):
    """A ticket with the values of its current verdict; `*_by` says whether `rule`, `engine` or `human` set a value."""

    __tablename__ = "tickets"
    __table_args__ = (
        UniqueConstraint("source", "external_id"),
        Index("ix_tickets_requester", "requester", "created_at"),
        Index(
            "ix_tickets_unresolved",
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
        # each step updates the row: room on the page keeps the new version out of every index (HOT)
        {"postgresql_with": {"fillfactor": 70}},
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=True)
    source: Mapped[str] = mapped_column(String(40))
    #: The id in the system of the client, with the client (`db.clients`). SQLite knows no length, and needs no migration.
    external_id: Mapped[str | None] = mapped_column(String(200))
    #: The request body as it was received, as ASCII JSON.
    raw: Mapped[str] = mapped_column(Text)
    title: Mapped[str] = mapped_column(Text, default="")
    description: Mapped[str] = mapped_column(Text, default="")
    requester: Mapped[str] = mapped_column(String(254), default="")
    #: The requester's display name, as their mail states it.
    requester_name: Mapped[str] = mapped_column(String(200), default="", server_default="")
    #: The agent who forwarded the requester's mail.
    forwarded_by: Mapped[str] = mapped_column(String(254), default="", server_default="")
    #: Why the requester gets no automatic answer, such as "Precedence: list"; empty when they get one.
    no_auto_reply: Mapped[str] = mapped_column(String(200), default="", server_default="")
    #: Whether our mail server verified that the requester sent the mail; None when that is unknown, or for no mail.
    sender_verified: Mapped[bool | None] = mapped_column(Boolean)
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
    #: None until routing assigns an agent; "" after a person unassigned the ticket, which routing then leaves alone.
    assignee: Mapped[str | None] = mapped_column(String(254))
    duplicate_of: Mapped[int | None] = mapped_column(ForeignKey("tickets.id", ondelete="SET NULL"))
    incident_id: Mapped[int | None] = mapped_column(ForeignKey("incidents.id", ondelete="SET NULL"))
    #: How the ticket was resolved, as the agent described it.
    resolution: Mapped[str] = mapped_column(Text, default="", server_default="")
    #: Whether the requester got the resolution; None for a version of Aura that always sent it, and for an imported ticket.
    resolution_public: Mapped[bool | None] = mapped_column(Boolean)
    resolved_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    #: The last completed step of the pipeline: received, prepared, classified or notified.
    stage: Mapped[str] = mapped_column(String(16), default="received", server_default="received")
    #: Incremented by each change of category or priority; part of the dedupe key of each notification.
    version: Mapped[int] = mapped_column(Integer, default=1, server_default="1")
    #: The newest version for which notifications were created; 0 before the first.
    notified_version: Mapped[int] = mapped_column(Integer, default=0, server_default="0")
    #: Resolution target of the ticket's priority; None while the ticket is pending.
    due_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    #: When the next SLA check is due: to warn, then to escalate; None after the escalation.
    sla_next_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    #: "" (within the target), warned or breached.
    sla_state: Mapped[str] = mapped_column(String(16), default="", server_default="")
    #: Start of the current pause of the SLA (pending, resolved or closed), and the business seconds of earlier pauses.
    paused_since: Mapped[datetime | None] = mapped_column(UtcDateTime)
    paused_seconds: Mapped[float] = mapped_column(Float, default=0.0, server_default="0")
    #: Time of the last change of the text or the last comment.
    changed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    #: When it was created, by its other system for an imported ticket.
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now())
    #: When it was imported from a file; None for any other ticket.
    imported_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    #: Whether its verdict notifies users in their in-app inbox only: its other system acknowledged it.
    silent: Mapped[bool] = mapped_column(Boolean, default=False, server_default=false())
    classified_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    notified_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


#: When a ticket was created in this database; `created_at` of an imported one is older.
ARRIVED_AT = func.coalesce(Ticket.imported_at, Ticket.created_at)


class VerdictRecord(Base):
    """A verdict of an engine about a ticket; append-only."""

    __tablename__ = "verdicts"
    __table_args__ = (
        Index("ix_verdicts_ticket", "ticket_id", "id"),
        Index(
            "ix_verdicts_with_text",
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
    #: Why the local engine answered instead of the configured one; empty when the configured one answered.
    fallback: Mapped[str] = mapped_column(Text, default="")
    #: The verdict of the local engine when it differs, such as "local: Network, high".
    disagreement: Mapped[str] = mapped_column(Text, default="", server_default="")
    #: The difference from the previous verdict and the reason of the re-analysis; empty for the first.
    change: Mapped[str] = mapped_column(Text, default="", server_default="")
    summary: Mapped[str] = mapped_column(Text, default="", server_default="")
    sentiment: Mapped[str] = mapped_column(String(16), default="", server_default="")
    language: Mapped[str] = mapped_column(String(8), default="", server_default="")
    #: Steps that the requester can try, one sentence each.
    self_fix: Mapped[list[str]] = mapped_column(Json, default=list, server_default="[]")
    #: The words that weighed most.
    words: Mapped[list[str]] = mapped_column(Json, default=list, server_default="[]")
    suggested_agent: Mapped[str | None] = mapped_column(String(200))
    #: Similar resolved tickets: id, title, score and resolution of each.
    similar: Mapped[list[dict[str, Any]]] = mapped_column(Json, default=list, server_default="[]")
    #: Median and 90th percentile of the hours in which the similar tickets were resolved.
    resolution_p50: Mapped[float | None] = mapped_column(Float)
    resolution_p90: Mapped[float | None] = mapped_column(Float)
    input_tokens: Mapped[int] = mapped_column(Integer, default=0)
    output_tokens: Mapped[int] = mapped_column(Integer, default=0)
    #: US dollars, by the price table of the day of the call.
    cost: Mapped[float] = mapped_column(Float, default=0.0, server_default="0")
    #: Whether the answer came from the cache.
    cached: Mapped[bool] = mapped_column(Boolean, default=False, server_default=false())
    latency_ms: Mapped[float] = mapped_column(Float, default=0.0)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now())


class Correction(Base):
    """A category or priority that a person set or confirmed; training data, and a few-shot example for remote engines."""

    __tablename__ = "corrections"
    __table_args__ = (Index("ix_corrections_ticket", "ticket_id", "id"),)

    id: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=True)
    ticket_id: Mapped[int] = mapped_column(ForeignKey("tickets.id", ondelete="CASCADE"))
    #: category or priority.
    field: Mapped[str] = mapped_column(String(16))
    #: The previous value and who set it; equal to `new` when a person confirmed it.
    old: Mapped[str | None] = mapped_column(String(80))
    old_by: Mapped[str | None] = mapped_column(String(16))
    new: Mapped[str] = mapped_column(String(80))
    #: Engine and confidence of the newest verdict at that time.
    engine: Mapped[str] = mapped_column(String(40), default="")
    confidence: Mapped[float | None] = mapped_column(Float)
    author: Mapped[str] = mapped_column(String(254))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now(), index=True)


class AiCall(Base):
    """One request to a remote engine: the text that was sent, the outcome and the cost."""

    __tablename__ = "ai_calls"
    __table_args__ = (Index("ix_ai_calls_ticket", "ticket_id", "id"),)

    id: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=True)
    ticket_id: Mapped[int] = mapped_column(ForeignKey("tickets.id", ondelete="CASCADE"))
    model: Mapped[str] = mapped_column(String(80))
    prompt_version: Mapped[str] = mapped_column(String(40))
    #: The text of the ticket as it was sent, masked.
    sent: Mapped[str] = mapped_column(Text)
    #: Number of masked values of each kind, such as {"email": 2}.
    masked: Mapped[dict[str, int]] = mapped_column(Json, default=dict)
    #: "answered", or the reason of the failure.
    outcome: Mapped[str] = mapped_column(Text)
    input_tokens: Mapped[int] = mapped_column(Integer, default=0)
    output_tokens: Mapped[int] = mapped_column(Integer, default=0)
    cost: Mapped[float] = mapped_column(Float, default=0.0)
    latency_ms: Mapped[float] = mapped_column(Float, default=0.0)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now(), index=True)


class LocalModel(Base):
    """A local model that was trained on this installation; every worker uses the active one."""

    __tablename__ = "local_models"

    version: Mapped[str] = mapped_column(String(80), primary_key=True)
    #: The JSON of the model, gzipped.
    body: Mapped[bytes] = mapped_column(LargeBinary)
    #: Evaluation on the test set, and the size and sources of the training set.
    report: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)
    active: Mapped[bool] = mapped_column(Boolean, default=False, server_default=false())
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now())


class Incident(Base):
    """Similar tickets created within minutes, proposed as one major incident."""

    __tablename__ = "incidents"

    id: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=True)
    title: Mapped[str] = mapped_column(Text)
    category: Mapped[str] = mapped_column(String(80))
    #: proposed, accepted or dismissed.
    state: Mapped[str] = mapped_column(String(16), default="proposed", server_default="proposed")
    #: The parent ticket, created when the incident is accepted.
    parent_id: Mapped[int | None] = mapped_column(BigInteger)
    #: The highest priority of its tickets when it was accepted; it covers no ticket that is more urgent.
    priority: Mapped[str | None] = mapped_column(String(16))
    #: When people were notified of the proposal.
    notified_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now())
    #: When the newest of its tickets was created.
    last_ticket_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now())


class Comment(Base):
    """A comment on a ticket, or an action on it as one line of text."""

    __tablename__ = "comments"
    __table_args__ = (Index("ix_comments_ticket", "ticket_id", "id"),)

    id: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=True)
    ticket_id: Mapped[int] = mapped_column(ForeignKey("tickets.id", ondelete="CASCADE"))
    author: Mapped[str] = mapped_column(String(254))
    text: Mapped[str] = mapped_column(Text)
    #: mail, api, web or cli; `action` for the record of an action.
    source: Mapped[str] = mapped_column(String(16))
    #: A note for agents: neither the requester nor a participant gets it.
    internal: Mapped[bool] = mapped_column(Boolean, default=False, server_default=false())
    #: Whether our mail server verified the author of a comment by mail; None when that is unknown, or for no mail.
    sender_verified: Mapped[bool | None] = mapped_column(Boolean)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now())


class InboundMail(Base):
    """A received mail with its bytes and its outcome."""

    __tablename__ = "inbound_mails"
    __table_args__ = (
        Index("ix_inbound_mails_ticket", "ticket_id"),
        Index("ix_inbound_mails_sender", "sender", "created_at"),
        Index(
            "ix_inbound_mails_shared",
            "shared_id",
            postgresql_where=text("shared_id IS NOT NULL"),
            sqlite_where=text("shared_id IS NOT NULL"),
        ),
        Index(
            "ix_inbound_mails_refers_to",
            "refers_to",
            postgresql_where=text("refers_to IS NOT NULL"),
            sqlite_where=text("refers_to IS NOT NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=True)
    #: The Message-ID, or a digest of the bytes; unique, so that a mail is processed once.
    message_id: Mapped[str] = mapped_column(String(998), unique=True)
    #: The Message-ID of a mail whose Message-ID an earlier mail with other content has; `message_id` is a digest then.
    shared_id: Mapped[str | None] = mapped_column(String(998))
    #: Digest of what a person sees (`ParsedMail.content_digest`), or of the headers of a mail that was not read completely.
    content_digest: Mapped[str] = mapped_column(String(80), default="", server_default="")
    sender: Mapped[str] = mapped_column(String(254), default="")
    raw: Mapped[bytes] = mapped_column(LargeBinary)
    #: ticket, comment, or why the mail was ignored.
    outcome: Mapped[str] = mapped_column(Text)
    ticket_id: Mapped[int | None] = mapped_column(ForeignKey("tickets.id", ondelete="SET NULL"))
    #: Whether our mail server verified the sender, and None when that is unknown.
    sender_verified: Mapped[bool | None] = mapped_column(Boolean)
    #: The ticket that the mail names or answers without being a comment on it, and the reason.
    refers_to: Mapped[int | None] = mapped_column(BigInteger)
    note: Mapped[str | None] = mapped_column(Text)
    #: Name, type and size of each attachment; `raw` holds their bytes.
    attachments: Mapped[list[dict[str, Any]]] = mapped_column(Json, default=list, server_default="[]")
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now(), index=True)


class AnalysisBatch(Base):
    """Tickets that a remote engine re-analyzes through its Batch API."""

    __tablename__ = "analysis_batches"
    __table_args__ = (Index("ix_analysis_batches_state", "state", "id"),)

    id: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=True)
    #: planned, uploaded, submitted, answered, done or failed.
    state: Mapped[str] = mapped_column(String(16), default="planned", server_default="planned")
    model: Mapped[str] = mapped_column(String(80))
    prompt_version: Mapped[str] = mapped_column(String(40))
    #: Pairs of ticket id and reason of the re-analysis.
    tickets: Mapped[list[tuple[int, str]]] = mapped_column(Json, default=list)
    #: The provider's ids of the input file, the batch, the output file and the error file.
    input_file: Mapped[str] = mapped_column(String(200), default="", server_default="")
    provider_id: Mapped[str] = mapped_column(String(200), default="", server_default="")
    output_file: Mapped[str] = mapped_column(String(200), default="", server_default="")
    error_file: Mapped[str] = mapped_column(String(200), default="", server_default="")
    #: Number of tickets that were answered, and of those that are re-analyzed one by one instead.
    answered: Mapped[int] = mapped_column(Integer, default=0, server_default="0")
    failed: Mapped[int] = mapped_column(Integer, default=0, server_default="0")
    cost: Mapped[float] = mapped_column(Float, default=0.0, server_default="0")
    note: Mapped[str] = mapped_column(Text, default="", server_default="")
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now())
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
