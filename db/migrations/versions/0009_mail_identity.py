"""Requester's display name, forwarding agent and automatic answers of tickets; content digests of inbound mails."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

TICKETS = {"requester_name": sa.String(200), "forwarded_by": sa.String(254), "no_auto_reply": sa.String(200)}


def upgrade() -> None:
    with op.batch_alter_table("tickets") as tickets:
        for name, kind in TICKETS.items():
            tickets.add_column(sa.Column(name, kind, server_default="", nullable=False))
    with op.batch_alter_table("inbound_mails") as mails:
        mails.add_column(sa.Column("content_digest", sa.String(80), server_default="", nullable=False))
        mails.add_column(sa.Column("shared_id", sa.String(998), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("inbound_mails") as mails:
        mails.drop_column("shared_id")
        mails.drop_column("content_digest")
    with op.batch_alter_table("tickets") as tickets:
        for name in TICKETS:
            tickets.drop_column(name)
