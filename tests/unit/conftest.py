"""Aura in this process, on a database of its own for each test."""

from tests.commands import run
from tests.embedded import (
    database,
    declare,
    hand,
    kept_postgresql,
    migrated_postgresql,
    migrated_sqlite,
    own_postgres,
    postgres,
    sqlite,
)

__all__ = [
    "database",
    "declare",
    "hand",
    "kept_postgresql",
    "migrated_postgresql",
    "migrated_sqlite",
    "own_postgres",
    "postgres",
    "run",
    "sqlite",
]
