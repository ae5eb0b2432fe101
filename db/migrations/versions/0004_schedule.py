"""Scheduler: leader leases, runs and controls of scheduled jobs, metric samples."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "leader_leases",
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("holder", sa.String(length=32), nullable=False),
        sa.Column("term", sa.Integer(), nullable=False),
        sa.Column("expires_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_leader_leases")),
    )
    op.create_table(
        "schedule_runs",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("job", sa.String(length=80), nullable=False),
        sa.Column("scheduled_at", TIME, nullable=False),
        sa.Column("term", sa.Integer(), nullable=False),
        sa.Column("started_at", TIME, nullable=False),
        sa.Column("finished_at", TIME, nullable=True),
        sa.Column("note", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_schedule_runs")),
        sa.UniqueConstraint("job", "scheduled_at", name=op.f("uq_schedule_runs_job_scheduled_at")),
    )
    op.create_index("ix_schedule_runs_started", "schedule_runs", ["started_at"])
    op.create_table(
        "schedule_controls",
        sa.Column("job", sa.String(length=80), nullable=False),
        sa.Column("paused", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("changed_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("job", name=op.f("pk_schedule_controls")),
    )
    op.create_table(
        "metric_samples",
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("value", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("name", "at", name=op.f("pk_metric_samples")),
    )
    op.create_index("ix_metric_samples_at", "metric_samples", ["at"])


def downgrade() -> None:
    for table in ("metric_samples", "schedule_controls", "schedule_runs", "leader_leases"):
        op.drop_table(table)
