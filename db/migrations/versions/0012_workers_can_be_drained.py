"""Workers say their version and can be drained."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

import db.time

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("workers") as batch_op:
        batch_op.add_column(sa.Column("version", sa.String(length=40), server_default="", nullable=False))
        batch_op.add_column(sa.Column("drain_at", db.time.UtcDateTime(timezone=True), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("workers") as batch_op:
        batch_op.drop_column("drain_at")
        batch_op.drop_column("version")
