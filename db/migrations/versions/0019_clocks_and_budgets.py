"""Schedules of scheduled jobs, counters of AI costs, and active alerts."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.add_column("schedule_controls", sa.Column("schedule", sa.Text(), nullable=True))
    op.add_column("schedule_controls", sa.Column("schedule_since", TIME, nullable=True))
    op.create_table(
        "shared_counters",
        sa.Column("key", sa.String(length=120), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_shared_counters")),
    )
    op.create_table(
        "shared_texts",
        sa.Column("key", sa.String(length=120), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("expires_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_shared_texts")),
    )
    op.create_table(
        "alerts",
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("detail", sa.Text(), server_default="", nullable=False),
        sa.Column("since", TIME, nullable=False),
        sa.Column("seen_at", TIME, nullable=False),
        sa.Column("fired_at", TIME, nullable=True),
        sa.Column("notified_at", TIME, nullable=True),
        sa.Column("resolved_at", TIME, nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_alerts")),
    )


def downgrade() -> None:
    for table in ("alerts", "shared_texts", "shared_counters"):
        op.drop_table(table)
    for column in ("schedule_since", "schedule"):
        op.drop_column("schedule_controls", column)
