"""Index of the inbound mails that name a ticket without being a comment on it."""

from __future__ import annotations

import sqlalchemy as sa

from db.migrations.online import create_index, drop_index

revision = "0012_1"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    named = sa.text("refers_to IS NOT NULL")
    create_index(
        "ix_inbound_mails_refers_to", "inbound_mails", ["refers_to"], postgresql_where=named, sqlite_where=named
    )


def downgrade() -> None:
    drop_index("ix_inbound_mails_refers_to", "inbound_mails")
