"""Revisions: which tables a database has, read without Alembic."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import text

from db.database import dispose, engine
from db.migrate import config, migrate
from db.revisions import outdated, revisions


@pytest.fixture(autouse=True)
def empty(database_url: str, configure: Callable[..., Any]) -> Iterator[None]:
    """An empty database that the settings name."""
    configure(DATABASE_URL=database_url)
    yield
    dispose()


def test_an_empty_database_and_every_older_revision_are_outdated():
    assert outdated(revisions()[0])
    for script in reversed(list(ScriptDirectory.from_config(config()).walk_revisions())):
        migrate(script.revision)
        current, newest = revisions()
        assert current == script.revision
        assert outdated(current) is (current != newest)


def test_a_revision_of_a_newer_release_is_not_outdated():
    migrate()
    with engine().begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = 'of the next release'"))

    assert not outdated(revisions()[0])
