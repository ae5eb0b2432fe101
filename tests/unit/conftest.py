"""Aura in this process, on a database of its own for each test."""

from tests.commands import run
from tests.embedded import database, declare, hand, migrated_postgresql, migrated_sqlite, postgres, sqlite

__all__ = ["database", "declare", "hand", "migrated_postgresql", "migrated_sqlite", "postgres", "run", "sqlite"]
