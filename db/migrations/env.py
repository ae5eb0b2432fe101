"""Alembic's environment: runs migrations on the connection that `db.migrate` passes."""

from __future__ import annotations

from typing import Any

from alembic import context

from db.models import Base


def _include(_object: Any, name: str | None, kind: str, _reflected: bool, _other: Any) -> bool:
    # the text index is no model: FTS5 adds tables of its own on SQLite
    return not (kind == "table" and (name or "").startswith("resolved_texts"))


connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=Base.metadata,
    render_as_batch=connection.dialect.name == "sqlite",
    compare_type=True,
    include_object=_include,
    transactional_ddl=True,
    transaction_per_migration=True,
    # CREATE INDEX CONCURRENTLY cannot run inside the caller's transaction
    online=not connection.in_transaction(),
)
with context.begin_transaction():
    context.run_migrations()
