"""Indexes of inbound mails: by sender, for the limit of mails an hour, and by a Message-ID that several mails have."""

from __future__ import annotations

import sqlalchemy as sa

from db.migrations.online import create_index, drop_index

revision = "0009_1"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    create_index("ix_inbound_mails_sender", "inbound_mails", ["sender", "created_at"])
    shared = sa.text("shared_id IS NOT NULL")
    create_index(
        "ix_inbound_mails_shared", "inbound_mails", ["shared_id"], postgresql_where=shared, sqlite_where=shared
    )


def downgrade() -> None:
    drop_index("ix_inbound_mails_shared", "inbound_mails")
    drop_index("ix_inbound_mails_sender", "inbound_mails")
