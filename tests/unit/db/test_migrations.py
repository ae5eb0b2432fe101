"""One history for both databases: up, down, up again, and never two steps at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from alembic import command
from sqlalchemy import inspect

from db.database import dispose, engine
from db.migrate import config, migrate, outdated, revisions
from db.models import Base


@pytest.fixture(autouse=True)
def empty(database_url: str, configure: Callable[..., Any]) -> Iterator[None]:
    """An empty database that the settings name."""
    configure(DATABASE_URL=database_url)
    yield
    dispose()


def tables() -> set[str]:
    """The tables by name, without those of the text index, which is no model: `resolved_texts` and what FTS5 adds."""
    return {name for name in inspect(engine()).get_table_names() if not name.startswith("resolved_texts")}


def alembic(do: Callable[..., Any], *arguments: Any) -> None:
    """Do what the alembic command of this name does, on our connection."""
    with engine().begin() as connection:
        configuration = config()
        configuration.attributes["connection"] = connection
        do(configuration, *arguments)


def test_an_empty_database_gets_every_table_and_a_second_time_changes_nothing():
    assert revisions()[0] is None

    migrate()
    migrate()

    assert tables() == {*Base.metadata.tables, "alembic_version"}
    current, newest = revisions()
    assert current == newest


def test_older_tables_are_outdated_and_newer_ones_are_not():
    assert outdated(revisions()[0])
    migrate()
    assert not outdated(revisions()[0])
    with engine().begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = 'of the next release'")

    assert not outdated(revisions()[0])


def test_the_models_and_the_migrations_say_the_same():
    migrate()

    alembic(command.check)


def test_the_check_would_find_a_difference():
    migrate()
    with engine().begin() as connection:
        connection.exec_driver_sql("DROP INDEX ix_jobs_suspect")

    with pytest.raises(Exception, match="New upgrade operations detected"):
        alembic(command.check)


def test_all_the_way_down_and_up_again():
    migrate()
    alembic(command.downgrade, "base")
    assert tables() <= {"alembic_version"}

    migrate()

    alembic(command.check)
    assert len(tables()) == len(Base.metadata.tables) + 1
