"""Scheduled jobs can be paused."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

import db.time

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "schedule_controls",
        sa.Column("job", sa.String(length=80), nullable=False),
        sa.Column("paused", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("changed_at", db.time.UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("job", name=op.f("pk_schedule_controls")),
    )


def downgrade() -> None:
    op.drop_table("schedule_controls")
