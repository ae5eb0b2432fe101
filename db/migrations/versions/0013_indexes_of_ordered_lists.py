"""Indexes of lists in an order: by priority, of somebody's tickets, and by when they are due."""

from __future__ import annotations

from sqlalchemy import text

from db.migrations.online import create_index, drop_index

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

ASSIGNED = text("assignee IS NOT NULL")
DUE = text("due_at IS NOT NULL AND status IN ('open', 'in_progress', 'pending')")


def upgrade() -> None:
    create_index("ix_tickets_assigned", "tickets", ["assignee", "id"], postgresql_where=ASSIGNED, sqlite_where=ASSIGNED)
    drop_index("ix_tickets_assignee", "tickets")
    create_index("ix_tickets_priority", "tickets", ["priority", "id"])
    create_index("ix_tickets_due", "tickets", ["due_at", "id"], postgresql_where=DUE, sqlite_where=DUE)


def downgrade() -> None:
    drop_index("ix_tickets_due", "tickets")
    drop_index("ix_tickets_priority", "tickets")
    create_index("ix_tickets_assignee", "tickets", ["assignee"], postgresql_where=ASSIGNED, sqlite_where=ASSIGNED)
    drop_index("ix_tickets_assigned", "tickets")
