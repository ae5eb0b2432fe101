"""Tickets, verdicts, corrections, comments, incidents, inbound mail, agents and local models."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "incidents",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("category", sa.String(length=80), nullable=False),
        sa.Column("state", sa.String(length=16), server_default="proposed", nullable=False),
        sa.Column("parent_id", sa.BigInteger(), nullable=True),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("last_ticket_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_incidents")),
    )
    op.create_table(
        "tickets",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("source", sa.String(length=40), nullable=False),
        sa.Column("external_id", sa.String(length=200), nullable=True),
        sa.Column("raw", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("requester", sa.String(length=254), nullable=False),
        sa.Column("department", sa.String(length=200), nullable=False),
        sa.Column("language", sa.String(length=8), nullable=False),
        sa.Column("claimed_priority", sa.String(length=16), nullable=True),
        sa.Column("category", sa.String(length=80), nullable=True),
        sa.Column("category_by", sa.String(length=16), nullable=True),
        sa.Column("priority", sa.String(length=16), nullable=True),
        sa.Column("priority_by", sa.String(length=16), nullable=True),
        sa.Column("confidence", sa.Float(), nullable=True),
        sa.Column("needs_review", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("status", sa.String(length=16), server_default="open", nullable=False),
        sa.Column("assignee", sa.String(length=254), nullable=True),
        sa.Column("duplicate_of", ID, nullable=True),
        sa.Column("incident_id", ID, nullable=True),
        sa.Column("resolution", sa.Text(), server_default="", nullable=False),
        sa.Column("resolved_at", TIME, nullable=True),
        sa.Column("stage", sa.String(length=16), server_default="received", nullable=False),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.Column("notified_version", sa.Integer(), server_default="0", nullable=False),
        sa.Column("due_at", TIME, nullable=True),
        sa.Column("sla_next_at", TIME, nullable=True),
        sa.Column("sla_state", sa.String(length=16), server_default="", nullable=False),
        sa.Column("paused_since", TIME, nullable=True),
        sa.Column("paused_seconds", sa.Float(), server_default="0", nullable=False),
        sa.Column("changed_at", TIME, nullable=True),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("classified_at", TIME, nullable=True),
        sa.Column("notified_at", TIME, nullable=True),
        sa.ForeignKeyConstraint(
            ["duplicate_of"], ["tickets.id"], name=op.f("fk_tickets_duplicate_of"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(
            ["incident_id"], ["incidents.id"], name=op.f("fk_tickets_incident_id"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tickets")),
        sa.UniqueConstraint("source", "external_id", name=op.f("uq_tickets_source_external_id")),
        postgresql_with={"fillfactor": 70},
    )
    op.create_index("ix_tickets_assigned", "tickets", ["assignee", "id"], **_where("assignee IS NOT NULL"))
    op.create_index(
        "ix_tickets_at_risk", "tickets", ["sla_state", "id"], **_where("sla_state IN ('warned', 'breached')")
    )
    op.create_index("ix_tickets_changed", "tickets", ["changed_at"], **_where("changed_at > classified_at"))
    op.create_index(
        "ix_tickets_due",
        "tickets",
        ["due_at", "id"],
        **_where("due_at IS NOT NULL AND status IN ('open', 'in_progress', 'pending')"),
    )
    op.create_index("ix_tickets_priority", "tickets", ["priority", "id"])
    op.create_index("ix_tickets_requester", "tickets", ["requester", "created_at"])
    op.create_index("ix_tickets_review", "tickets", ["classified_at"], **_where("needs_review AND status = 'open'"))
    op.create_index("ix_tickets_sla", "tickets", ["sla_next_at"], **_where("sla_next_at IS NOT NULL"))
    op.create_index("ix_tickets_unfinished", "tickets", ["created_at"], **_where("notified_at IS NULL"))
    op.create_index(
        "ix_tickets_unresolved", "tickets", ["classified_at"], **_where("status IN ('open', 'in_progress', 'pending')")
    )
    op.create_table(
        "verdicts",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("ticket_id", ID, nullable=False),
        sa.Column("category", sa.String(length=80), nullable=False),
        sa.Column("confidence", sa.Float(), nullable=False),
        sa.Column("priority", sa.String(length=16), nullable=False),
        sa.Column("priority_confidence", sa.Float(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("needs_review", sa.Boolean(), nullable=False),
        sa.Column("engine", sa.String(length=40), nullable=False),
        sa.Column("model", sa.String(length=80), nullable=False),
        sa.Column("prompt_version", sa.String(length=40), nullable=False),
        sa.Column("fallback", sa.Text(), nullable=False),
        sa.Column("disagreement", sa.Text(), server_default="", nullable=False),
        sa.Column("change", sa.Text(), server_default="", nullable=False),
        sa.Column("summary", sa.Text(), server_default="", nullable=False),
        sa.Column("sentiment", sa.String(length=16), server_default="", nullable=False),
        sa.Column("language", sa.String(length=8), server_default="", nullable=False),
        sa.Column("self_fix", JSON, server_default="[]", nullable=False),
        sa.Column("words", JSON, server_default="[]", nullable=False),
        sa.Column("suggested_agent", sa.String(length=200), nullable=True),
        sa.Column("similar", JSON, server_default="[]", nullable=False),
        sa.Column("resolution_p50", sa.Float(), nullable=True),
        sa.Column("resolution_p90", sa.Float(), nullable=True),
        sa.Column("input_tokens", sa.Integer(), nullable=False),
        sa.Column("output_tokens", sa.Integer(), nullable=False),
        sa.Column("cost", sa.Float(), server_default="0", nullable=False),
        sa.Column("cached", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("latency_ms", sa.Float(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.ForeignKeyConstraint(["ticket_id"], ["tickets.id"], name=op.f("fk_verdicts_ticket_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_verdicts")),
    )
    op.create_index("ix_verdicts_fallback", "verdicts", ["created_at"], **_where("fallback <> ''"))
    op.create_index("ix_verdicts_ticket", "verdicts", ["ticket_id", "id"])
    op.create_index("ix_verdicts_with_text", "verdicts", ["created_at"], **_where("reason <> ''"))
    op.create_table(
        "corrections",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("ticket_id", ID, nullable=False),
        sa.Column("field", sa.String(length=16), nullable=False),
        sa.Column("old", sa.String(length=80), nullable=True),
        sa.Column("old_by", sa.String(length=16), nullable=True),
        sa.Column("new", sa.String(length=80), nullable=False),
        sa.Column("engine", sa.String(length=40), nullable=False),
        sa.Column("confidence", sa.Float(), nullable=True),
        sa.Column("author", sa.String(length=254), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.ForeignKeyConstraint(
            ["ticket_id"], ["tickets.id"], name=op.f("fk_corrections_ticket_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_corrections")),
    )
    op.create_index(op.f("ix_corrections_created_at"), "corrections", ["created_at"])
    op.create_index("ix_corrections_ticket", "corrections", ["ticket_id", "id"])
    op.create_table(
        "ai_calls",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("ticket_id", ID, nullable=False),
        sa.Column("model", sa.String(length=80), nullable=False),
        sa.Column("prompt_version", sa.String(length=40), nullable=False),
        sa.Column("sent", sa.Text(), nullable=False),
        sa.Column("masked", JSON, nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("input_tokens", sa.Integer(), nullable=False),
        sa.Column("output_tokens", sa.Integer(), nullable=False),
        sa.Column("cost", sa.Float(), nullable=False),
        sa.Column("latency_ms", sa.Float(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.ForeignKeyConstraint(["ticket_id"], ["tickets.id"], name=op.f("fk_ai_calls_ticket_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ai_calls")),
    )
    op.create_index(op.f("ix_ai_calls_created_at"), "ai_calls", ["created_at"])
    op.create_index("ix_ai_calls_ticket", "ai_calls", ["ticket_id", "id"])
    op.create_table(
        "analysis_batches",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("state", sa.String(length=16), server_default="planned", nullable=False),
        sa.Column("model", sa.String(length=80), nullable=False),
        sa.Column("prompt_version", sa.String(length=40), nullable=False),
        sa.Column("tickets", JSON, nullable=False),
        sa.Column("input_file", sa.String(length=200), server_default="", nullable=False),
        sa.Column("provider_id", sa.String(length=200), server_default="", nullable=False),
        sa.Column("output_file", sa.String(length=200), server_default="", nullable=False),
        sa.Column("error_file", sa.String(length=200), server_default="", nullable=False),
        sa.Column("answered", sa.Integer(), server_default="0", nullable=False),
        sa.Column("failed", sa.Integer(), server_default="0", nullable=False),
        sa.Column("cost", sa.Float(), server_default="0", nullable=False),
        sa.Column("note", sa.Text(), server_default="", nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("finished_at", TIME, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_analysis_batches")),
    )
    op.create_index("ix_analysis_batches_state", "analysis_batches", ["state", "id"])
    op.create_table(
        "comments",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("ticket_id", ID, nullable=False),
        sa.Column("author", sa.String(length=254), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("source", sa.String(length=16), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.ForeignKeyConstraint(["ticket_id"], ["tickets.id"], name=op.f("fk_comments_ticket_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_comments")),
    )
    op.create_index("ix_comments_ticket", "comments", ["ticket_id", "id"])
    op.create_table(
        "inbound_mails",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("message_id", sa.String(length=998), nullable=False),
        sa.Column("sender", sa.String(length=254), nullable=False),
        sa.Column("raw", sa.LargeBinary(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("ticket_id", ID, nullable=True),
        sa.Column("attachments", JSON, server_default="[]", nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.ForeignKeyConstraint(
            ["ticket_id"], ["tickets.id"], name=op.f("fk_inbound_mails_ticket_id"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_inbound_mails")),
        sa.UniqueConstraint("message_id", name=op.f("uq_inbound_mails_message_id")),
    )
    op.create_index(op.f("ix_inbound_mails_created_at"), "inbound_mails", ["created_at"])
    op.create_index("ix_inbound_mails_ticket", "inbound_mails", ["ticket_id"])
    op.create_table(
        "idempotency_keys",
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("ticket_id", sa.BigInteger(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_idempotency_keys")),
    )
    op.create_index(op.f("ix_idempotency_keys_created_at"), "idempotency_keys", ["created_at"])
    op.create_table(
        "agents",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("email", sa.String(length=254), nullable=False),
        sa.Column("team", sa.String(length=80), nullable=False),
        sa.Column("skills", JSON, nullable=False),
        sa.Column("capacity", sa.Integer(), nullable=False),
        sa.Column("available", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_agents")),
        sa.UniqueConstraint("name", name=op.f("uq_agents_name")),
    )
    op.create_table(
        "local_models",
        sa.Column("version", sa.String(length=80), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("report", JSON, nullable=False),
        sa.Column("active", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("version", name=op.f("pk_local_models")),
    )


def downgrade() -> None:
    for table in (
        "local_models",
        "agents",
        "idempotency_keys",
        "inbound_mails",
        "comments",
        "analysis_batches",
        "ai_calls",
        "corrections",
        "verdicts",
        "tickets",
        "incidents",
    ):
        op.drop_table(table)


def _where(condition: str) -> dict[str, Any]:
    return {"postgresql_where": sa.text(condition), "sqlite_where": sa.text(condition)}
