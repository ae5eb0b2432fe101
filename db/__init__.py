"""Database: models, sessions, queries and migrations for PostgreSQL and SQLite."""

from db.database import join_transaction, reading, transaction

__all__ = ["join_transaction", "reading", "transaction"]
