"""Fewer indexes on jobs, and those in the order that the relay reads."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

DUE = sa.text("hinted_at IS NULL AND lease IS NULL")
LEASED = sa.text("lease IS NOT NULL")
SUSPECT = sa.text("crashes > 1")


def upgrade() -> None:
    op.drop_index("ix_jobs_due", "jobs")
    op.drop_index("ix_jobs_lease", "jobs")
    op.drop_index("ix_jobs_key", "jobs")
    with op.batch_alter_table("jobs", table_kwargs={"sqlite_autoincrement": True}) as batch_op:
        batch_op.drop_constraint("uq_jobs_actor_key_pipeline", type_="unique")
        batch_op.create_unique_constraint("uq_jobs_key_actor_pipeline", ["key", "actor", "pipeline"])
    due = ["actor", "priority", "due_at", "id"]
    op.create_index("ix_jobs_due", "jobs", due, postgresql_where=DUE, sqlite_where=DUE)
    op.create_index("ix_jobs_suspect", "jobs", ["id"], postgresql_where=SUSPECT, sqlite_where=SUSPECT)
    op.drop_index("ix_tickets_stage", "tickets")
    op.drop_index("ix_attempts_created", "attempts")
    if op.get_context().dialect.name == "postgresql":
        # rows come and go by the thousand a second, and the due index is read at its front: vacuum often
        often = "autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0"
        op.execute(f"ALTER TABLE jobs SET ({often})")
        op.execute(f"ALTER TABLE events SET ({often})")
        # room on the page for the new version of a row: without it every index gets a new entry at each step
        op.execute("ALTER TABLE tickets SET (fillfactor = 70)")


def downgrade() -> None:
    if op.get_context().dialect.name == "postgresql":
        op.execute("ALTER TABLE tickets RESET (fillfactor)")
        for table in ("events", "jobs"):
            op.execute(f"ALTER TABLE {table} RESET (autovacuum_vacuum_scale_factor, autovacuum_vacuum_cost_delay)")
    op.create_index("ix_attempts_created", "attempts", ["created_at"])
    op.create_index("ix_tickets_stage", "tickets", ["stage", "created_at"])
    op.drop_index("ix_jobs_suspect", "jobs")
    op.drop_index("ix_jobs_due", "jobs")
    with op.batch_alter_table("jobs", table_kwargs={"sqlite_autoincrement": True}) as batch_op:
        batch_op.drop_constraint("uq_jobs_key_actor_pipeline", type_="unique")
        batch_op.create_unique_constraint("uq_jobs_actor_key_pipeline", ["actor", "key", "pipeline"])
    due: list[str | sa.TextClause] = ["actor", sa.text("priority DESC"), "due_at", "id"]
    op.create_index("ix_jobs_due", "jobs", due, postgresql_where=DUE, sqlite_where=DUE)
    op.create_index("ix_jobs_lease", "jobs", ["lease"], postgresql_where=LEASED, sqlite_where=LEASED)
    op.create_index("ix_jobs_key", "jobs", ["key"])
