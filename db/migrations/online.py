"""CREATE INDEX CONCURRENTLY for migrations: builds indexes of large tables on PostgreSQL without blocking writes.

Put such indexes into a migration of their own: it is not one transaction, and is repeated from the start after a failure.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from alembic import op
from sqlalchemy import text

from db.postgresql import pooler_mode

#: Milliseconds that such a statement waits for a lock; it blocks nobody meanwhile.
LOCK_TIMEOUT = 10_000


def create_index(name: str, table: str, columns: list[Any], **options: Any) -> None:
    """Create an index; an invalid one that a failed attempt left is replaced."""
    if not _online():
        op.drop_index(name, table, if_exists=True)
        op.create_index(name, table, columns, **options)
        return
    with _autocommit():
        op.drop_index(name, table, if_exists=True, postgresql_concurrently=True)
        op.create_index(name, table, columns, postgresql_concurrently=True, **options)


def drop_index(name: str, table: str) -> None:
    """Drop an index if it exists."""
    if not _online():
        op.drop_index(name, table, if_exists=True)
        return
    with _autocommit():
        op.drop_index(name, table, if_exists=True, postgresql_concurrently=True)


def _online() -> bool:
    context = op.get_context()
    return context.dialect.name == "postgresql" and bool(context.opts.get("online"))


@contextmanager
def _autocommit() -> Iterator[None]:
    """Run outside a transaction, with a longer lock timeout than a migration that holds locks."""
    with op.get_context().autocommit_block():
        if pooler_mode(op.get_bind().engine) == "transaction":
            yield  # the session is another one for each statement
            return
        previous = op.get_bind().scalar(text("SHOW lock_timeout"))
        op.execute(f"SET lock_timeout = {LOCK_TIMEOUT}")
        try:
            yield
        finally:
            op.execute(f"SET lock_timeout = '{previous}'")
