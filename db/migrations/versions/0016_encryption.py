"""Room for the encrypted form of signing keys. `db.secret_columns` encrypts the values themselves.

The columns of `endpoints` keep their types: processes of the previous version have prepared statements that read them, which
PostgreSQL would refuse after a change ("cached plan must not change result type").
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("signing_keys") as table:
        table.alter_column("secret", type_=sa.Text(), existing_type=sa.String(length=64), existing_nullable=False)


def downgrade() -> None:
    pass  # encrypted keys do not fit into the previous column
