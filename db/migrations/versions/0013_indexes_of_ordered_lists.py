"""Indexes of lists in an order (priority, assignee, due), and of what may or may not have left."""

from __future__ import annotations

from sqlalchemy import text

from db.migrations.online import create_index, drop_index

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

ASSIGNED = text("assignee IS NOT NULL")
DUE = text("due_at IS NOT NULL AND status IN ('open', 'in_progress', 'pending')")
UNKNOWN = text("state = 'unknown'")


def upgrade() -> None:
    create_index("ix_tickets_assigned", "tickets", ["assignee", "id"], postgresql_where=ASSIGNED, sqlite_where=ASSIGNED)
    drop_index("ix_tickets_assignee", "tickets")  # databases of before the migration 0011 may have it
    create_index("ix_tickets_priority", "tickets", ["priority", "id"])
    create_index("ix_tickets_due", "tickets", ["due_at", "id"], postgresql_where=DUE, sqlite_where=DUE)
    create_index("ix_notifications_unknown", "notifications", ["id"], postgresql_where=UNKNOWN, sqlite_where=UNKNOWN)


def downgrade() -> None:
    drop_index("ix_notifications_unknown", "notifications")
    drop_index("ix_tickets_due", "tickets")
    drop_index("ix_tickets_priority", "tickets")
    drop_index("ix_tickets_assigned", "tickets")
