"""What holds a queue back, and how often work was replayed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

import db.time

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "queue_controls",
        sa.Column("queue", sa.String(length=80), nullable=False),
        sa.Column("paused", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("paused_until", db.time.UtcDateTime(timezone=True), nullable=True),
        sa.Column("job_limit", sa.Integer(), nullable=True),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("changed_at", db.time.UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("queue", name=op.f("pk_queue_controls")),
    )
    op.add_column("dead_letters", sa.Column("replays", sa.Integer(), server_default="0", nullable=False))
    op.create_index("ix_dead_letters_fingerprint", "dead_letters", ["fingerprint", "id"])
    op.add_column("jobs", sa.Column("replays", sa.Integer(), server_default="0", nullable=False))


def downgrade() -> None:
    op.drop_column("jobs", "replays")
    op.drop_index("ix_dead_letters_fingerprint", "dead_letters")
    op.drop_column("dead_letters", "replays")
    op.drop_table("queue_controls")
