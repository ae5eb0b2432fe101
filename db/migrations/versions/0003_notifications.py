"""Notifications, subscriptions, preferences, endpoints and channel rates."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "notifications",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("ticket_id", ID, nullable=True),
        sa.Column("event", sa.String(length=80), nullable=False),
        sa.Column("channel", sa.String(length=40), nullable=False),
        sa.Column("recipient", sa.String(length=254), nullable=False),
        sa.Column("role", sa.String(length=40), nullable=False),
        sa.Column("dedupe_key", sa.String(length=400), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("data", JSON, server_default="{}", nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("provider_id", sa.Text(), nullable=False),
        sa.Column("delayed_until", TIME, nullable=True),
        sa.Column("digest_id", sa.String(length=32), nullable=True),
        sa.Column("traceparent", sa.String(length=64), nullable=True),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("sent_at", TIME, nullable=True),
        sa.Column("read_at", TIME, nullable=True),
        sa.ForeignKeyConstraint(
            ["ticket_id"], ["tickets.id"], name=op.f("fk_notifications_ticket_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notifications")),
        sa.UniqueConstraint("dedupe_key", name=op.f("uq_notifications_dedupe_key")),
    )
    op.create_index("ix_notifications_created", "notifications", ["created_at"], postgresql_using="brin")
    op.create_index(
        "ix_notifications_delayed",
        "notifications",
        ["channel", "recipient", "delayed_until"],
        **_where("state = 'delayed'"),
    )
    op.create_index("ix_notifications_digest", "notifications", ["digest_id"], **_where("digest_id IS NOT NULL"))
    op.create_index("ix_notifications_in_doubt", "notifications", ["id"], **_where("state = 'in_doubt'"))
    op.create_index("ix_notifications_recent", "notifications", ["channel", "recipient", "created_at"])
    op.create_index("ix_notifications_ticket", "notifications", ["ticket_id"])
    op.create_table(
        "subscriptions",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("recipient", sa.String(length=254), nullable=False),
        sa.Column("channel", sa.String(length=40), nullable=False),
        sa.Column("event", sa.String(length=80), nullable=False),
        sa.Column("category", sa.String(length=80), nullable=False),
        sa.Column("priority", sa.String(length=16), nullable=False),
        sa.Column("department", sa.String(length=200), nullable=False),
        sa.Column("team", sa.String(length=80), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_subscriptions")),
        sa.UniqueConstraint(
            "recipient", "channel", "event", "category", "priority", "department", "team", name="uq_subscriptions_all"
        ),
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
        sa.Column("changed_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("recipient", name=op.f("pk_preferences")),
    )
    op.create_table(
        "endpoints",
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("channel", sa.String(length=40), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("secret", sa.String(length=200), server_default="", nullable=False),
        sa.Column("old_secret", sa.String(length=200), server_default="", nullable=False),
        sa.Column("changed_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_endpoints")),
    )
    op.create_table(
        "channel_rates",
        sa.Column("channel", sa.String(length=40), nullable=False),
        sa.Column("free_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("channel", name=op.f("pk_channel_rates")),
    )


def downgrade() -> None:
    for table in ("channel_rates", "endpoints", "preferences", "subscriptions", "notifications"):
        op.drop_table(table)


def _where(condition: str) -> dict[str, Any]:
    return {"postgresql_where": sa.text(condition), "sqlite_where": sa.text(condition)}
