"""Login links, second factor, failed logins, and where a session is used."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.add_column("users", sa.Column("totp_seed", sa.Text(), nullable=True))
    op.add_column("users", sa.Column("totp_since", TIME, nullable=True))
    op.add_column("users", sa.Column("totp_step", sa.BigInteger(), nullable=True))
    op.add_column("user_sessions", sa.Column("last_seen_at", TIME, nullable=True))
    op.add_column("user_sessions", sa.Column("address", sa.String(length=64), server_default="", nullable=False))
    op.add_column("user_sessions", sa.Column("user_agent", sa.String(length=200), server_default="", nullable=False))
    op.create_table(
        "login_links",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("user_id", ID, nullable=False),
        sa.Column("expires_at", TIME, nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_login_links_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_login_links")),
    )
    op.create_table(
        "recovery_codes",
        sa.Column("user_id", ID, nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_recovery_codes_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("user_id", "digest", name=op.f("pk_recovery_codes")),
    )
    op.create_table(
        "login_failures",
        sa.Column("key", sa.String(length=120), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("expires_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_login_failures")),
    )
    op.create_index(op.f("ix_login_failures_expires_at"), "login_failures", ["expires_at"])


def downgrade() -> None:
    for table in ("login_failures", "recovery_codes", "login_links"):
        op.drop_table(table)
    for column in ("user_agent", "address", "last_seen_at"):
        op.drop_column("user_sessions", column)
    for column in ("totp_step", "totp_since", "totp_seed"):
        op.drop_column("users", column)
