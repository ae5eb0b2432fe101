"""Preferences in the database: one row for each recipient in lower case."""

from __future__ import annotations

import pytest

from db import preferences, reading, transaction

pytestmark = pytest.mark.usefixtures("database")


def test_a_saved_preference_keeps_the_columns_that_are_not_named():
    with transaction() as session:
        preferences.save(session, "Ada@Example.com", {"language": "de", "digest": "daily"})
        preferences.save(session, "ADA@example.com", {"digest": "hourly"})

    with reading() as session:
        [(recipient, row)] = preferences.all_preferences(session).items()
    assert recipient == "ada@example.com"
    assert (row["language"], row["digest"]) == ("de", "hourly")
    assert row.keys() == set(preferences.FIELDS)


def test_a_removed_preference_is_gone_and_removing_says_whether_there_was_one():
    with transaction() as session:
        preferences.save(session, "ada", {"language": "de"})
        assert [preferences.remove(session, "ADA"), preferences.remove(session, "ada")] == [True, False]
        assert preferences.all_preferences(session) == {}
