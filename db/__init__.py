"""The memory of Aura: models, sessions, queries and migrations; SQLite and PostgreSQL from one source."""

from db.database import reading, transaction

__all__ = ["reading", "transaction"]
