"""The problem of each worker and relay, such as a broker that blocks publishers, for health checks and alerts."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("workers", sa.Column("problem", sa.String(length=300), nullable=False, server_default=""))


def downgrade() -> None:
    op.drop_column("workers", "problem")
