"""Building indexes of large tables on PostgreSQL while others write to them.

Such a migration builds indexes and does nothing else: it is no transaction, so what it did before it failed stays, and it
begins anew at the next try.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from alembic import op
from sqlalchemy import text

#: Milliseconds that such a statement waits for a lock: it makes nobody wait.
PATIENCE = 10_000


def create_index(name: str, table: str, columns: list[Any], **options: Any) -> None:
    """Build an index beside the traffic; one that an earlier try left behind, half built, is built anew."""
    context = op.get_context()
    if context.dialect.name != "postgresql" or not context.opts.get("online"):
        op.drop_index(name, table, if_exists=True)
        op.create_index(name, table, columns, **options)
        return
    with _beside():
        op.drop_index(name, table, if_exists=True, postgresql_concurrently=True)
        op.create_index(name, table, columns, postgresql_concurrently=True, **options)


def drop_index(name: str, table: str) -> None:
    """Drop an index beside the traffic, if it is there."""
    context = op.get_context()
    if context.dialect.name != "postgresql" or not context.opts.get("online"):
        op.drop_index(name, table, if_exists=True)
        return
    with _beside():
        op.drop_index(name, table, if_exists=True, postgresql_concurrently=True)


@contextmanager
def _beside() -> Iterator[None]:
    """Leave the transaction, and wait for locks more patiently than a migration that holds some."""
    with op.get_context().autocommit_block():
        before = op.get_bind().scalar(text("SHOW lock_timeout"))
        op.execute(f"SET lock_timeout = {PATIENCE}")
        try:
            yield
        finally:
            op.execute(f"SET lock_timeout = '{before}'")
