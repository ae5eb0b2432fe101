"""The indexes of large tables that came since the first release, built beside the traffic.

They have a migration of their own, for one that changes tables must be short.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import text

from db.migrations.online import create_index, drop_index

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

#: Name, table, columns, and the condition of a partial one, or None for a summary of blocks.
INDEXES: tuple[tuple[str, str, list[str], str | None], ...] = (
    ("ix_tickets_unfinished", "tickets", ["created_at"], "notified_at IS NULL"),
    ("ix_tickets_changed", "tickets", ["changed_at"], "changed_at > classified_at"),
    ("ix_tickets_sla", "tickets", ["sla_next_at"], "sla_next_at IS NOT NULL"),
    ("ix_verdicts_fallback", "verdicts", ["created_at"], "fallback <> ''"),
    ("ix_verdicts_wordy", "verdicts", ["created_at"], "reason <> ''"),
    ("ix_notifications_digest", "notifications", ["digest_id"], "digest_id IS NOT NULL"),
    ("ix_notifications_waiting", "notifications", ["channel", "recipient", "hold_until"], "state = 'waiting'"),
    ("ix_notifications_recent", "notifications", ["channel", "recipient", "created_at"], ""),
    ("ix_notifications_created", "notifications", ["created_at"], None),
    ("ix_attempts_created", "attempts", ["created_at"], None),
)


def upgrade() -> None:
    for name, table, columns, condition in INDEXES:
        options: dict[str, Any] = {"postgresql_using": "brin"} if condition is None else {}
        if condition:
            options = {"postgresql_where": text(condition), "sqlite_where": text(condition)}
        create_index(name, table, columns, **options)


def downgrade() -> None:
    for name, table, _, _ in reversed(INDEXES):
        drop_index(name, table)
