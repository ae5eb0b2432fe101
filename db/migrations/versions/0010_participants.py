"""Participants of tickets, internal comments, signing keys, and requesters in lower case."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009_1"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    # first, because the following statements lock tables until the migration ends; new requesters are stored like this.
    # "Ann Lee <Ann@example.com>" stays, since a name has capital letters
    op.execute(
        "UPDATE tickets SET requester = lower(requester) WHERE requester LIKE '%@%' AND requester NOT LIKE '% %' "
        "AND requester <> lower(requester)"
    )
    op.create_table(
        "ticket_participants",
        sa.Column("ticket_id", ID, nullable=False),
        sa.Column("address", sa.String(length=254), nullable=False),
        sa.Column("name", sa.String(length=200), server_default="", nullable=False),
        sa.Column("added_by", sa.String(length=254), server_default="", nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("removed_at", TIME, nullable=True),
        sa.ForeignKeyConstraint(
            ["ticket_id"], ["tickets.id"], name=op.f("fk_ticket_participants_ticket_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("ticket_id", "address", name=op.f("pk_ticket_participants")),
    )
    op.create_table(
        "signing_keys",
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("secret", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_signing_keys")),
    )
    op.add_column("comments", sa.Column("internal", sa.Boolean(), server_default=sa.false(), nullable=False))


def downgrade() -> None:
    op.drop_column("comments", "internal")
    op.drop_table("signing_keys")
    op.drop_table("ticket_participants")
