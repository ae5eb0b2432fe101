"""`aura preferences`."""

from __future__ import annotations

import pytest

from db import preferences, transaction
from tests.commands import Run
from tests.unit.desk.stored_settings import everything

pytestmark = pytest.mark.usefixtures("database")


def test_preferences_are_set_listed_and_removed(run: Run):
    assert run("preferences", "list").err.startswith("No preferences. Set some: aura preferences set")
    set_ = run("preferences", "set", "Boss@example.com", "--timezone", "Europe/Berlin", "--quiet", "22:00-07:00")
    assert set_.out == "boss@example.com: timezone Europe/Berlin, quiet 22:00-07:00\n"
    more = run("preferences", "set", "boss@example.com", "--digest", "daily", "--digest-at", "17:30", "--quiet", "none")
    assert more.out == "boss@example.com: timezone Europe/Berlin, digest daily, digest_at 17:30\n"
    [row] = run("preferences", "list", "--format", "json").json()
    assert (row["digest_at"], row["quiet"], row["error"]) == ("17:30", "", "")
    assert run("preferences", "remove", "BOSS@example.com").out == "preferences of BOSS@example.com removed\n"
    assert everything()[1] == {}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["set", "ada"], "name a preference: --language, --timezone, --quiet, --digest or --digest-at"),
        (["set", "ada", "--quiet", "22-7"], "quiet: must be two different times such as 22:00-07:00"),
        (["set", "ada", "--timezone", "Mars"], "timezone: unknown time zone 'Mars'"),
        (["set", "a@b@c", "--language", "de"], "recipient: 'a@b@c' is neither an e-mail address nor a user name"),
        (["remove", "ada"], "'ada' has no preferences"),
    ],
)
def test_an_invalid_preference_is_refused(run: Run, arguments: list[str], words: str):
    result = run("preferences", *arguments)

    assert (result.code, result.out) == (1, "")
    assert words in result.err
    assert everything()[1] == {}


def test_an_invalid_row_is_listed_with_its_error(run: Run):
    with transaction() as session:
        preferences.save(session, "ada", {"timezone": "Mars"})
    assert "unknown time zone 'Mars'" in run("preferences", "list").out
    assert run("preferences", "set", "ada", "--timezone", "none", "--language", "de").out == "ada: language de\n"
