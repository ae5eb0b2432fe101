"""Whether the senders of mails, tickets and comments are verified, and the ticket that a mail names without being a comment."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

TABLES = ("tickets", "comments", "inbound_mails")


def upgrade() -> None:
    # nullable and without a default, so no table is rewritten
    for table in TABLES:
        op.add_column(table, sa.Column("sender_verified", sa.Boolean(), nullable=True))
    op.add_column("inbound_mails", sa.Column("refers_to", sa.BigInteger(), nullable=True))
    op.add_column("inbound_mails", sa.Column("note", sa.Text(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("inbound_mails") as mails:
        mails.drop_column("note")
        mails.drop_column("refers_to")
    for table in TABLES:
        with op.batch_alter_table(table) as changed:
            changed.drop_column("sender_verified")
