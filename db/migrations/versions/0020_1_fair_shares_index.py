"""Index of the due jobs by share."""

from __future__ import annotations

import sqlalchemy as sa

from db.migrations.online import create_index, drop_index

revision = "0020_1"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    waiting = sa.text("hinted_at IS NULL AND lease IS NULL")
    columns = ["actor", "priority", "share", "due_at", "id"]
    create_index("ix_jobs_share", "jobs", columns, postgresql_where=waiting, sqlite_where=waiting)


def downgrade() -> None:
    drop_index("ix_jobs_share", "jobs")
