"""Subscriptions and preferences from a file: all or none, with an error per line."""

from __future__ import annotations

from pathlib import Path

import pytest

from aura.desk import notification_settings
from db import preferences, subscriptions, transaction
from tests.commands import Run
from tests.conftest import ROOT
from tests.unit.desk.stored_settings import everything

pytestmark = pytest.mark.usefixtures("database")

FILE = """\
subscriptions:
- {recipient: boss@example.com, event: escalated, priority: High}
- {recipient: desk-slack, category: network}
- recipient: night.shift
  event: ticket.classified
preferences:
- {recipient: Boss@Example.com, language: de, timezone: Europe/Berlin, quiet: 22:00-07:00, digest: daily, digest_at: 18:00}
- {recipient: night.shift, language: no}
"""


@pytest.fixture
def file(tmp_path: Path, slack: None) -> Path:
    return write(tmp_path, FILE.replace("language: no}", "language: en}"))


def write(folder: Path, text: str | bytes) -> Path:
    path = folder / "settings.yaml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def test_a_file_is_imported_idempotently(run: Run, file: Path):
    first = run("subscriptions", "import", file)
    assert first.out == (
        "+ boss@example.com: ticket.escalated by email, priority high or above\n"
        "+ desk-slack: every event by slack, category Network\n"
        "+ night.shift: ticket.classified by in_app\n"
        "~ boss@example.com: language de, timezone Europe/Berlin, quiet 22:00-07:00, digest daily, digest_at 18:00\n"
        "~ night.shift: language en\n"
        "3 subscriptions added, 0 unchanged; 2 preferences set, 0 unchanged\n"
    )
    there = everything()
    second = run("subscriptions", "import", file)
    assert second.out == "0 subscriptions added, 3 unchanged; 0 preferences set, 2 unchanged\n"
    assert everything() == there


def test_a_dry_run_prints_the_changes_only(run: Run, file: Path):
    dry = run("subscriptions", "import", file, "--dry-run")
    assert dry.err == "Dry run: nothing was changed.\n"
    assert everything() == ([], {})
    assert run("subscriptions", "import", file).out == dry.out
    assert run("subscriptions", "import", file, "--dry-run", "--format", "json").json() == {
        "subscriptions": {"new": [], "known": 3},
        "preferences": {"changed": [], "same": 2},
        "dry_run": True,
    }


def test_an_export_can_be_imported(run: Run, file: Path, tmp_path: Path):
    run("subscriptions", "import", file)
    there = everything()
    exported = run("subscriptions", "export").out
    assert run("subscriptions", "import", write(tmp_path, exported)).out.startswith(
        "0 subscriptions added, 3 unchanged; 0 "
    )

    with transaction() as session:
        for row in subscriptions.listing(session):
            subscriptions.remove(session, row["id"])
        for name in there[1]:
            preferences.remove(session, name)
    run("subscriptions", "import", write(tmp_path, exported))
    assert everything() == there


def test_every_invalid_entry_is_named_and_nothing_is_changed(run: Run, tmp_path: Path, slack: None):
    path = write(
        tmp_path,
        """\
subscriptions:
- {recipient: good@example.com}
- {recipient: boss@example.com, event: ticket.escalatd}
- {recipient: boss@example.com, priority: urgent, category: Network}
- {recipient: boss@example.com, category: Plumbing}
- {recipient: "a@b@c"}
- {recipient: no-slack, channel: slack}
- {recipient: x, channel: fax}
- {recipient: x, colour: red}
- {recipient: x, recipient: y}
- {recipient: [x]}
- just text
- {event: escalated}
preferences:
- {recipient: good@example.com, quiet: 22:00-07:00}
- {recipient: GOOD@example.com, quiet: 23:00-07:00}
- {recipient: x, quiet: night}
- {recipient: x, timezone: Mars}
- {recipient: x, language: no}
- {recipient: x, digest: daily, digest_at: 8}
- {language: de}
- {recipient: x, digest: weekly}
subscribers: []
""",
    )

    result = run("subscriptions", "import", path)

    assert (result.code, result.out) == (1, "")
    *lines, last = result.err.removeprefix("aura: ").splitlines()
    assert last == "nothing was changed"
    errors = [line.removeprefix(f"{path}: ") for line in lines]
    for line, words in zip(
        errors,
        [
            "line 3: event: unknown value 'ticket.escalatd'; use one of *, ticket.received, ",
            "line 4: priority: unknown value 'urgent'; use one of low, medium, high, critical",
            "line 5: category: unknown value 'Plumbing'; use one of Hardware, ",
            "line 6: recipient: 'a@b@c' is not an e-mail address such as ada@example.com",
            "line 7: recipient: unknown slack endpoint 'no-slack'; the slack endpoints are desk-slack",
            "line 8: channel: unknown value 'fax'; use one of email, slack, teams, webhook, apprise, in_app",
            "line 9: 'colour': there is no such field; there are recipient, channel, event, ",
            "line 10: recipient: occurs twice",
            "line 11: recipient: must be a single text",
            "line 12: must be an entry with the fields recipient, channel, ",
            "line 13: recipient: '' is not a user name such as ada",
            "line 16: recipient: 'good@example.com' is in line 15, too; remove one of them",
            "line 17: quiet: must be two different times such as 22:00-07:00",
            "line 18: timezone: unknown time zone 'Mars'; use a name such as Europe/Berlin",
            "line 19: language: unknown language 'no'; the languages are en, de",
            "line 20: digest_at: must be a time such as 08:00",
            "line 21: recipient: '' is neither an e-mail address nor a user name",
            "line 22: digest: must be hourly or daily, not 'weekly'",
            "line 23: there is no 'subscribers'; there are subscriptions and preferences",
        ],
        strict=True,
    ):
        assert line.startswith(words)
    assert everything() == ([], {})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "must hold `subscriptions:` and `preferences:`"),
        ("- x", "must hold `subscriptions:`"),
        ("subscriptions: [", "settings.yaml: while parsing"),
        ("subscriptions: x", "line 1: subscriptions must be a list of entries"),
        ("? [a]\n: b", "line 1: there is no such key"),
        ("subscriptions:\n- {? [a] : b}", "line 2: such key: there is no such field"),
        (b"\xff\xfe\xff", "codec can't decode"),
        ("[" * 5000, "is nested too deeply"),
        ("x: y\0z", "settings.yaml: "),
        ("!!python/object/apply:os.system [echo]", "must hold `subscriptions:`"),
        ("# " + "x" * 1_000_000, "has more than 1000000 bytes; split the file"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_a_file_of_another_form_is_refused(run: Run, tmp_path: Path, text: str | bytes, words: str):
    result = run("subscriptions", "import", write(tmp_path, text))

    assert (result.code, result.out) == (1, "")
    assert words in result.err
    assert "Traceback" not in result.err
    assert everything() == ([], {})


def test_a_file_replaces_preferences_and_keeps_subscriptions(run: Run, tmp_path: Path):
    run("subscriptions", "add", "ada@example.com")
    run("preferences", "set", "ada@example.com", "--language", "de", "--quiet", "22:00-07:00")
    run(
        "subscriptions",
        "import",
        write(tmp_path, "subscriptions:\npreferences:\n- {recipient: ada@example.com, digest: hourly}"),
    )

    wanted, preferred = everything()
    assert len(wanted) == 1
    assert notification_settings.as_written("x", preferred["ada@example.com"]) == {
        "recipient": "x", "language": "", "timezone": "", "quiet": "", "digest": "hourly", "digest_at": "",
    }  # fmt: skip


def test_the_sample_file_is_valid(run: Run):
    assert "2 subscriptions added" in run("subscriptions", "import", ROOT / "examples" / "subscriptions.yaml").out
