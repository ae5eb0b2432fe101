"""Incidents: their priority at confirmation and when the team was notified. Tickets: whether the resolution is public."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012_1"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("incidents", sa.Column("priority", sa.String(16)))
    op.add_column("incidents", sa.Column("notified_at", sa.DateTime(timezone=True)))
    op.add_column("tickets", sa.Column("resolution_public", sa.Boolean()))


def downgrade() -> None:
    op.drop_column("tickets", "resolution_public")
    op.drop_column("incidents", "notified_at")
    op.drop_column("incidents", "priority")
