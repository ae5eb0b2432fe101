"""Logins at OAuth providers, with encrypted refresh tokens."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "oauth_logins",
        sa.Column("provider", sa.String(length=16), nullable=False),
        sa.Column("mailbox", sa.String(length=320), nullable=False),
        sa.Column("refresh_token", sa.Text(), nullable=False),
        sa.Column("logged_in_at", TIME, nullable=False),
        sa.Column("renewed_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("provider", "mailbox", name=op.f("pk_oauth_logins")),
    )


def downgrade() -> None:
    op.drop_table("oauth_logins")
