"""Imported tickets: when they were imported, and whether people are notified of their verdict."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("tickets", sa.Column("imported_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("tickets", sa.Column("silent", sa.Boolean(), server_default=sa.false(), nullable=False))


def downgrade() -> None:
    op.drop_column("tickets", "silent")
    op.drop_column("tickets", "imported_at")
