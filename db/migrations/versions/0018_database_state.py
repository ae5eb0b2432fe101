"""Tables about the database itself: the fence, which detects a promotion or a restore, and the probe of writing."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from db.time import UtcDateTime

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "database_fence",
        sa.Column("id", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("system", sa.String(40), nullable=False),
        sa.Column("timeline", sa.String(8), nullable=False),
        sa.Column("beat", sa.BigInteger(), nullable=False),
        sa.Column("beaten_at", UtcDateTime(), nullable=False),
        if_not_exists=True,
    )
    op.create_table(
        "write_probes",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("filler", sa.LargeBinary(), nullable=False),
        if_not_exists=True,
    )
    if op.get_context().dialect.name == "postgresql":
        # a row fills a page, so that a probe needs new space
        op.execute("ALTER TABLE write_probes ALTER COLUMN filler SET STORAGE PLAIN")


def downgrade() -> None:
    op.drop_table("write_probes")
    op.drop_table("database_fence")
