"""Migrations on both databases: up, down, up again; they produce exactly the tables and indexes of the models."""

from __future__ import annotations

import tarfile
from collections.abc import Callable, Iterator
from pathlib import PurePath
from typing import Any

import pytest
from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, text

from db.database import dispose, engine
from db.migrate import config, migrate
from db.models import Base
from db.revisions import revisions
from tests.conftest import ROOT


@pytest.fixture(autouse=True)
def empty(database_url: str, configure: Callable[..., Any]) -> Iterator[None]:
    """An empty database that the settings name."""
    configure(DATABASE_URL=database_url)
    yield
    dispose()


def tables() -> set[str]:
    """Return the names of the tables, without those of the text index, which no model describes."""
    return {name for name in inspect(engine()).get_table_names() if not name.startswith("resolved_texts")}


def alembic(do: Callable[..., Any], *arguments: Any) -> None:
    """Run an alembic command on a connection of the engine."""
    with engine().begin() as connection:
        configuration = config()
        configuration.attributes["connection"] = connection
        do(configuration, *arguments)


def test_an_empty_database_gets_every_table_and_a_second_migration_changes_nothing():
    assert revisions()[0] is None

    migrate()
    migrate()

    assert tables() == {*Base.metadata.tables, "alembic_version"}
    current, newest = revisions()
    assert current == newest == ScriptDirectory.from_config(config()).get_current_head()


def types() -> dict[tuple[str, str], str]:
    """Return the type of each column."""
    found = inspect(engine())
    return {
        (name, each["name"]): str(each["type"]) for name in found.get_table_names() for each in found.get_columns(name)
    }


def test_no_column_of_the_last_release_changes_its_type():
    """PostgreSQL refuses the release's prepared statements otherwise ("cached plan must not change result type")."""
    [archive] = (ROOT / "tests" / "data").glob("aura-*.tar.xz")
    with tarfile.open(archive) as packed:
        files = [PurePath(name) for name in packed.getnames()]
    of_release = {each.stem.partition("_")[0] for each in files if each.parts[1:4] == ("db", "migrations", "versions")}
    script = ScriptDirectory.from_config(config())
    migrate(next(each.revision for each in script.walk_revisions() if each.revision in of_release))
    before = types()

    migrate()

    # no prepared statement reads the secrets of signing keys
    after, changing = types(), {("signing_keys", "secret")}
    assert {column: after.get(column) for column in before if column not in changing} == {
        column: kind for column, kind in before.items() if column not in changing
    }


def test_alembic_check_finds_no_difference_between_models_and_migrations():
    migrate()

    alembic(command.check)


def test_alembic_check_finds_a_missing_index():
    migrate()
    with engine().begin() as connection:
        connection.execute(text("DROP INDEX ix_jobs_suspect"))

    with pytest.raises(Exception, match="New upgrade operations detected"):
        alembic(command.check)


def test_the_migrations_create_the_storage_options_of_the_models():
    migrate()

    with engine().connect() as connection:
        if connection.dialect.name == "sqlite":
            jobs = connection.scalar(text("SELECT sql FROM sqlite_schema WHERE name = 'jobs'"))
            assert "AUTOINCREMENT" in str(jobs)
            return
        rows = connection.execute(
            text("SELECT relname, reloptions FROM pg_class WHERE relkind = 'r' AND reloptions IS NOT NULL")
        )
        options = {name: set(values) for name, values in rows}
        brin = connection.scalars(
            text("SELECT indexname FROM pg_indexes WHERE schemaname = 'public' AND indexdef LIKE '%USING brin%'")
        )
        assert set(brin) == {"ix_attempts_created", "ix_notifications_created"}
    often = {"autovacuum_vacuum_scale_factor=0.02", "autovacuum_vacuum_cost_delay=0"}
    grow = {name: {"autovacuum_vacuum_scale_factor=0.02"} for name in ("attempts", "notifications", "ai_calls")}
    assert options == {"tickets": {"fillfactor=70"}, "jobs": often, "outbox": often} | grow


def test_all_migrations_can_be_reverted_and_applied_again():
    migrate()
    alembic(command.downgrade, "base")
    assert inspect(engine()).get_table_names() == ["alembic_version"]

    migrate()

    alembic(command.check)
    assert len(tables()) == len(Base.metadata.tables) + 1


def test_requesters_of_earlier_versions_get_addresses_in_lower_case():
    migrate("0006")
    requesters = ["ADA@Example.com", "bob@example.com", "Ann Lee <Ann@Example.com>", "Ada Lovelace", ""]
    with engine().begin() as connection:
        for requester in requesters:
            connection.execute(
                text(
                    "INSERT INTO tickets (source, raw, title, description, requester, department, language, created_at) "
                    "VALUES ('http', '{}', 't', '', :requester, '', '', CURRENT_TIMESTAMP)"
                ),
                {"requester": requester},
            )
    migrate()

    with engine().begin() as connection:
        stored = connection.execute(text("SELECT requester FROM tickets ORDER BY id")).scalars().all()
    assert stored == ["ada@example.com", *requesters[1:]]
