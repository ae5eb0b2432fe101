"""Autovacuum of the tables from which retention deletes: after 2 % of dead rows instead of 20 %, so that they stay flat."""

from __future__ import annotations

from alembic import op

revision = "0020_2"
down_revision = "0020_1"
branch_labels = None
depends_on = None

TABLES = ("attempts", "notifications", "ai_calls")


def upgrade() -> None:
    # this lock lets everybody read and write
    if op.get_context().dialect.name == "postgresql":
        for table in TABLES:
            op.execute(f"ALTER TABLE {table} SET (autovacuum_vacuum_scale_factor = 0.02)")


def downgrade() -> None:
    if op.get_context().dialect.name == "postgresql":
        for table in TABLES:
            op.execute(f"ALTER TABLE {table} RESET (autovacuum_vacuum_scale_factor)")
