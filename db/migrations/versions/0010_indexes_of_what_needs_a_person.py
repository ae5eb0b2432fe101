"""Indexes of what needs a person: verdicts to review, and tickets that are late or soon due."""

from __future__ import annotations

from sqlalchemy import text

from db.migrations.online import create_index, drop_index

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

REVIEW = text("needs_review AND status = 'open'")
AT_RISK = text("sla_state IN ('warned', 'breached')")


def upgrade() -> None:
    create_index("ix_tickets_review", "tickets", ["classified_at"], postgresql_where=REVIEW, sqlite_where=REVIEW)
    create_index("ix_tickets_at_risk", "tickets", ["sla_state", "id"], postgresql_where=AT_RISK, sqlite_where=AT_RISK)


def downgrade() -> None:
    drop_index("ix_tickets_at_risk", "tickets")
    drop_index("ix_tickets_review", "tickets")
