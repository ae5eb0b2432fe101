"""What a verdict holds, corrections, what was sent to a remote engine, learned models, and incidents."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

import db.time

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
Json = sa.JSON().with_variant(JSONB(), "postgresql")
Time = db.time.UtcDateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "incidents",
        sa.Column("id", Id, autoincrement=True, nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("category", sa.String(length=80), nullable=False),
        sa.Column("state", sa.String(length=16), server_default="proposed", nullable=False),
        sa.Column("parent_id", sa.BigInteger(), nullable=True),
        sa.Column("created_at", Time, nullable=False),
        sa.Column("grew_at", Time, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_incidents")),
    )
    with op.batch_alter_table("tickets", table_kwargs={"sqlite_autoincrement": True}) as tickets:
        tickets.add_column(sa.Column("incident_id", Id, nullable=True))
        tickets.add_column(sa.Column("resolution", sa.Text(), server_default="", nullable=False))
        tickets.add_column(sa.Column("resolved_at", Time, nullable=True))
        tickets.create_foreign_key(
            op.f("fk_tickets_incident_id"), "incidents", ["incident_id"], ["id"], ondelete="SET NULL"
        )
    for column in _verdict_columns():
        op.add_column("verdicts", column)
    op.create_table(
        "corrections",
        sa.Column("id", Id, autoincrement=True, nullable=False),
        sa.Column("ticket_id", Id, nullable=False),
        sa.Column("field", sa.String(length=16), nullable=False),
        sa.Column("old", sa.String(length=80), nullable=True),
        sa.Column("old_by", sa.String(length=16), nullable=True),
        sa.Column("new", sa.String(length=80), nullable=False),
        sa.Column("engine", sa.String(length=40), nullable=False),
        sa.Column("confidence", sa.Float(), nullable=True),
        sa.Column("author", sa.String(length=254), nullable=False),
        sa.Column("created_at", Time, nullable=False),
        sa.ForeignKeyConstraint(
            ["ticket_id"], ["tickets.id"], name=op.f("fk_corrections_ticket_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_corrections")),
    )
    op.create_index("ix_corrections_ticket", "corrections", ["ticket_id", "id"])
    op.create_index(op.f("ix_corrections_created_at"), "corrections", ["created_at"])
    op.create_table(
        "ai_calls",
        sa.Column("id", Id, autoincrement=True, nullable=False),
        sa.Column("ticket_id", Id, nullable=False),
        sa.Column("model", sa.String(length=80), nullable=False),
        sa.Column("prompt_version", sa.String(length=40), nullable=False),
        sa.Column("sent", sa.Text(), nullable=False),
        sa.Column("masked", Json, nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("input_tokens", sa.Integer(), nullable=False),
        sa.Column("output_tokens", sa.Integer(), nullable=False),
        sa.Column("cost", sa.Float(), nullable=False),
        sa.Column("latency_ms", sa.Float(), nullable=False),
        sa.Column("created_at", Time, nullable=False),
        sa.ForeignKeyConstraint(["ticket_id"], ["tickets.id"], name=op.f("fk_ai_calls_ticket_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ai_calls")),
    )
    op.create_index("ix_ai_calls_ticket", "ai_calls", ["ticket_id", "id"])
    op.create_index(op.f("ix_ai_calls_created_at"), "ai_calls", ["created_at"])
    op.create_table(
        "local_models",
        sa.Column("version", sa.String(length=80), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("report", Json, nullable=False),
        sa.Column("active", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("created_at", Time, nullable=False),
        sa.PrimaryKeyConstraint("version", name=op.f("pk_local_models")),
    )


def _verdict_columns() -> list[sa.Column[Any]]:
    return [
        sa.Column("disagreement", sa.Text(), server_default="", nullable=False),
        sa.Column("summary", sa.Text(), server_default="", nullable=False),
        sa.Column("sentiment", sa.String(length=16), server_default="", nullable=False),
        sa.Column("language", sa.String(length=8), server_default="", nullable=False),
        sa.Column("self_fix", Json, server_default="[]", nullable=False),
        sa.Column("words", Json, server_default="[]", nullable=False),
        sa.Column("suggested_agent", sa.String(length=200), nullable=True),
        sa.Column("similar", Json, server_default="[]", nullable=False),
        sa.Column("resolution_p50", sa.Float(), nullable=True),
        sa.Column("resolution_p90", sa.Float(), nullable=True),
        sa.Column("cost", sa.Float(), server_default="0", nullable=False),
        sa.Column("cached", sa.Boolean(), server_default=sa.false(), nullable=False),
    ]


def downgrade() -> None:
    op.drop_table("local_models")
    op.drop_table("ai_calls")
    op.drop_table("corrections")
    for column in _verdict_columns():
        op.drop_column("verdicts", column.name)
    with op.batch_alter_table("tickets", table_kwargs={"sqlite_autoincrement": True}) as tickets:
        tickets.drop_constraint(op.f("fk_tickets_incident_id"), type_="foreignkey")
        for name in ("resolved_at", "resolution", "incident_id"):
            tickets.drop_column(name)
    op.drop_table("incidents")
