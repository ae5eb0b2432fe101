"""Workers say their version and can be drained; what may or may not have left is found by an index."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

import db.time
from db.migrations.online import create_index, drop_index

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

UNKNOWN = sa.text("state = 'unknown'")


def upgrade() -> None:
    with op.batch_alter_table("workers") as batch_op:
        batch_op.add_column(sa.Column("version", sa.String(length=40), server_default="", nullable=False))
        batch_op.add_column(sa.Column("drain_at", db.time.UtcDateTime(timezone=True), nullable=True))
    create_index("ix_notifications_unknown", "notifications", ["id"], postgresql_where=UNKNOWN, sqlite_where=UNKNOWN)


def downgrade() -> None:
    drop_index("ix_notifications_unknown", "notifications")
    with op.batch_alter_table("workers") as batch_op:
        batch_op.drop_column("drain_at")
        batch_op.drop_column("version")
