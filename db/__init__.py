"""The memory of Aura: models, sessions, queries and migrations; SQLite and PostgreSQL from one source."""

from db.database import join_transaction, reading, transaction

__all__ = ["join_transaction", "reading", "transaction"]
