"""The share of a job, by which the relay dispatches sources and requesters in turn."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # a constant default rewrites no table; the previous version inserts jobs without a share
    op.add_column("jobs", sa.Column("share", sa.BigInteger(), nullable=False, server_default="0"))


def downgrade() -> None:
    with op.batch_alter_table("jobs") as jobs:
        jobs.drop_column("share")
