"""Alembic's entry point: runs the migrations on the connection that `db.migrate` hands over."""

from __future__ import annotations

from typing import Any

from alembic import context

from db.models import Base


def _comparable(_object: Any, name: str | None, kind: str, _reflected: bool, _other: Any) -> bool:
    # the text index of similar tickets is no model: FTS5 on SQLite, which keeps tables of its own beside it
    if kind == "table" and (name or "").startswith("resolved_texts"):
        return False
    # SQLite cannot tell of an index on an expression, so `alembic check` would always miss this one
    return not (kind == "index" and name == "ix_jobs_due" and connection.dialect.name == "sqlite")


connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=Base.metadata,
    render_as_batch=connection.dialect.name == "sqlite",
    compare_type=True,
    include_object=_comparable,
    transactional_ddl=True,
    transaction_per_migration=True,
    # in somebody's transaction nothing can be built beside the traffic
    online=not connection.in_transaction(),
)
with context.begin_transaction():
    context.run_migrations()
