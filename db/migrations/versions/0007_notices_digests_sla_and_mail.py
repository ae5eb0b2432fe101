"""Whom to tell and when, targets of resolution, comments and mails, batches of re-analysis."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy import Text
from sqlalchemy.dialects import postgresql

import db.time

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "analysis_batches",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("state", sa.String(length=16), server_default="planned", nullable=False),
        sa.Column("model", sa.String(length=80), nullable=False),
        sa.Column("prompt_version", sa.String(length=40), nullable=False),
        sa.Column(
            "tickets", sa.JSON().with_variant(postgresql.JSONB(astext_type=Text()), "postgresql"), nullable=False
        ),
        sa.Column("input_file", sa.String(length=200), server_default="", nullable=False),
        sa.Column("provider_id", sa.String(length=200), server_default="", nullable=False),
        sa.Column("output_file", sa.String(length=200), server_default="", nullable=False),
        sa.Column("error_file", sa.String(length=200), server_default="", nullable=False),
        sa.Column("answered", sa.Integer(), server_default="0", nullable=False),
        sa.Column("failed", sa.Integer(), server_default="0", nullable=False),
        sa.Column("cost", sa.Float(), server_default="0", nullable=False),
        sa.Column("note", sa.Text(), server_default="", nullable=False),
        sa.Column("created_at", db.time.UtcDateTime(timezone=True), nullable=False),
        sa.Column("finished_at", db.time.UtcDateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_analysis_batches")),
    )
    with op.batch_alter_table("analysis_batches", schema=None) as batch_op:
        batch_op.create_index("ix_analysis_batches_state", ["state", "id"], unique=False)

    op.create_table(
        "channel_rates",
        sa.Column("channel", sa.String(length=40), nullable=False),
        sa.Column("free_at", db.time.UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("channel", name=op.f("pk_channel_rates")),
    )
    op.create_table(
        "endpoints",
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("channel", sa.String(length=40), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("secret", sa.String(length=200), server_default="", nullable=False),
        sa.Column("old_secret", sa.String(length=200), server_default="", nullable=False),
        sa.Column("changed_at", db.time.UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_endpoints")),
    )
    op.create_table(
        "preferences",
        sa.Column("recipient", sa.String(length=254), nullable=False),
        sa.Column("language", sa.String(length=8), server_default="", nullable=False),
        sa.Column("timezone", sa.String(length=64), server_default="", nullable=False),
        sa.Column("quiet_from", sa.String(length=5), server_default="", nullable=False),
        sa.Column("quiet_to", sa.String(length=5), server_default="", nullable=False),
        sa.Column("digest", sa.String(length=8), server_default="", nullable=False),
        sa.Column("digest_at", sa.String(length=5), server_default="08:00", nullable=False),
        sa.Column("changed_at", db.time.UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("recipient", name=op.f("pk_preferences")),
    )
    op.create_table(
        "samples",
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("at", db.time.UtcDateTime(timezone=True), nullable=False),
        sa.Column("value", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("name", "at", name=op.f("pk_samples")),
    )
    op.create_index("ix_samples_at", "samples", ["at"])
    op.create_index("ix_schedule_runs_started", "schedule_runs", ["started_at"])
    op.create_table(
        "subscriptions",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("recipient", sa.String(length=254), nullable=False),
        sa.Column("channel", sa.String(length=40), nullable=False),
        sa.Column("event", sa.String(length=80), nullable=False),
        sa.Column("category", sa.String(length=80), nullable=False),
        sa.Column("priority", sa.String(length=16), nullable=False),
        sa.Column("department", sa.String(length=200), nullable=False),
        sa.Column("team", sa.String(length=80), nullable=False),
        sa.Column("created_at", db.time.UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_subscriptions")),
        sa.UniqueConstraint(
            "recipient", "channel", "event", "category", "priority", "department", "team", name="uq_subscriptions_all"
        ),
    )
    op.create_table(
        "comments",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("ticket_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("author", sa.String(length=254), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("source", sa.String(length=16), nullable=False),
        sa.Column("created_at", db.time.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["ticket_id"], ["tickets.id"], name=op.f("fk_comments_ticket_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_comments")),
    )
    with op.batch_alter_table("comments", schema=None) as batch_op:
        batch_op.create_index("ix_comments_ticket", ["ticket_id", "id"], unique=False)

    op.create_table(
        "mails",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("message_id", sa.String(length=998), nullable=False),
        sa.Column("sender", sa.String(length=254), nullable=False),
        sa.Column("raw", sa.LargeBinary(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("ticket_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column(
            "attachments",
            sa.JSON().with_variant(postgresql.JSONB(astext_type=Text()), "postgresql"),
            server_default="[]",
            nullable=False,
        ),
        sa.Column("created_at", db.time.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["ticket_id"], ["tickets.id"], name=op.f("fk_mails_ticket_id"), ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mails")),
        sa.UniqueConstraint("message_id", name=op.f("uq_mails_message_id")),
    )
    with op.batch_alter_table("mails", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_mails_created_at"), ["created_at"], unique=False)
        batch_op.create_index("ix_mails_ticket", ["ticket_id"], unique=False)

    with op.batch_alter_table("notifications", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column(
                "data",
                sa.JSON().with_variant(postgresql.JSONB(astext_type=Text()), "postgresql"),
                server_default="{}",
                nullable=False,
            )
        )
        batch_op.add_column(sa.Column("hold_until", db.time.UtcDateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("digest_id", sa.String(length=32), nullable=True))
        batch_op.drop_index(batch_op.f("ix_notifications_recipient"))

    with op.batch_alter_table("tickets", schema=None) as batch_op:
        batch_op.add_column(sa.Column("due_at", db.time.UtcDateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("sla_next_at", db.time.UtcDateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("sla_state", sa.String(length=16), server_default="", nullable=False))
        batch_op.add_column(sa.Column("waiting_since", db.time.UtcDateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("waited_seconds", sa.Float(), server_default="0", nullable=False))
        batch_op.add_column(sa.Column("changed_at", db.time.UtcDateTime(timezone=True), nullable=True))

    with op.batch_alter_table("verdicts", schema=None) as batch_op:
        batch_op.add_column(sa.Column("change", sa.Text(), server_default="", nullable=False))


def downgrade() -> None:
    with op.batch_alter_table("verdicts", schema=None) as batch_op:
        batch_op.drop_column("change")

    with op.batch_alter_table("tickets", schema=None) as batch_op:
        batch_op.drop_column("changed_at")
        batch_op.drop_column("waited_seconds")
        batch_op.drop_column("waiting_since")
        batch_op.drop_column("sla_state")
        batch_op.drop_column("sla_next_at")
        batch_op.drop_column("due_at")

    with op.batch_alter_table("notifications", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_notifications_recipient"), ["recipient", "id"], unique=False)
        batch_op.drop_column("digest_id")
        batch_op.drop_column("hold_until")
        batch_op.drop_column("data")

    with op.batch_alter_table("mails", schema=None) as batch_op:
        batch_op.drop_index("ix_mails_ticket")
        batch_op.drop_index(batch_op.f("ix_mails_created_at"))

    op.drop_index("ix_schedule_runs_started", "schedule_runs")
    op.drop_table("mails")
    with op.batch_alter_table("comments", schema=None) as batch_op:
        batch_op.drop_index("ix_comments_ticket")

    op.drop_table("comments")
    op.drop_table("subscriptions")
    op.drop_table("samples")
    op.drop_table("preferences")
    op.drop_table("endpoints")
    op.drop_table("channel_rates")
    with op.batch_alter_table("analysis_batches", schema=None) as batch_op:
        batch_op.drop_index("ix_analysis_batches_state")

    op.drop_table("analysis_batches")
