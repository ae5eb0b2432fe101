"""The index of tickets whose verdicts may be stale holds those in progress and pending too."""

from __future__ import annotations

import sqlalchemy as sa

from db.migrations.online import create_index, drop_index

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

UNDONE = sa.text("status IN ('open', 'in_progress', 'pending')")
OPEN = sa.text("status = 'open'")


def upgrade() -> None:
    create_index("ix_tickets_undone", "tickets", ["classified_at"], postgresql_where=UNDONE, sqlite_where=UNDONE)
    drop_index("ix_tickets_open", "tickets")


def downgrade() -> None:
    create_index("ix_tickets_open", "tickets", ["classified_at"], postgresql_where=OPEN, sqlite_where=OPEN)
    drop_index("ix_tickets_undone", "tickets")
