"""External ids that contain their client: a longer column, which PostgreSQL changes without reading the table."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _set_length(200, 500)


def downgrade() -> None:
    """Fails if a client's id is longer than the former column."""
    _set_length(500, 200)


def _set_length(before: int, after: int) -> None:
    if op.get_context().dialect.name == "postgresql":
        op.alter_column("tickets", "external_id", type_=sa.String(after), existing_type=sa.String(before))
