"""Database: models, sessions, queries and migrations for PostgreSQL and SQLite."""

from db.database import reading, transaction

__all__ = ["reading", "transaction"]
