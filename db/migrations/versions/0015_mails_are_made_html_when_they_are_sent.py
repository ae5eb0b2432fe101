"""The HTML of a mail is made when it is sent: its column stays empty, for the version before reads it still."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("notifications") as batch_op:
        batch_op.alter_column("html", existing_type=sa.Text(), existing_nullable=False, server_default="")


def downgrade() -> None:
    with op.batch_alter_table("notifications") as batch_op:
        batch_op.alter_column("html", existing_type=sa.Text(), existing_nullable=False, server_default=None)
