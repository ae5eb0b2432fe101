"""Building indexes of large tables on PostgreSQL while others write to them.

Such a migration builds indexes and does nothing else: it is no transaction, so what it did before it failed stays, and it
begins anew at the next try.
"""

from __future__ import annotations

from typing import Any

from alembic import op


def create_index(name: str, table: str, columns: list[Any], **options: Any) -> None:
    """Build an index beside the traffic; one that an earlier try left behind, half built, is built anew."""
    context = op.get_context()
    if context.dialect.name != "postgresql" or not context.opts.get("online"):
        op.create_index(name, table, columns, **options)
        return
    with context.autocommit_block():
        op.drop_index(name, table, if_exists=True, postgresql_concurrently=True)
        op.create_index(name, table, columns, postgresql_concurrently=True, **options)


def drop_index(name: str, table: str) -> None:
    """Drop an index beside the traffic, if it is there."""
    context = op.get_context()
    if context.dialect.name != "postgresql" or not context.opts.get("online"):
        op.drop_index(name, table)
        return
    with context.autocommit_block():
        op.drop_index(name, table, if_exists=True, postgresql_concurrently=True)
