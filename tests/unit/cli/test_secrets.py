"""`aura secrets`, and what `aura migrate` and `aura doctor` say about secrets."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import text

from aura.settings import get_settings
from db import audit, endpoints, reading, secret_columns, transaction
from db.workers import beat
from pipelines.scheduled_jobs import encrypt_secrets
from tests.commands import Run

KEY, OTHER = "first-key-0123456789-abcdefghijklmnop", "other-key-9876543210-qrstuvwxyzabcdef"
PLAIN = "https://hooks.example.com/planted-4711"

pytestmark = pytest.mark.usefixtures("sqlite")


def plant() -> None:
    with transaction() as session:
        endpoints.add(session, "slack", "slack", PLAIN)
        session.execute(text(f"UPDATE endpoints SET url = '{PLAIN}'"))


def plain() -> dict[str, int]:
    with reading() as session:
        return secret_columns.count_plain(session)


def doctor(run: Run) -> dict[str, Any]:
    rows: list[dict[str, Any]] = json.loads(run("doctor", "--format", "json").out)
    [row] = [row for row in rows if row["name"] == "secrets"]
    return row


def test_a_key_is_random_and_accepted(run: Run, configure: Callable[..., Any]) -> None:
    first, second = (run("secrets", "generate-key").out.strip() for _ in range(2))
    assert first != second
    found = configure(AURA_ENCRYPTION_KEYS=f"{first},{second}").encryption_keys
    assert [each.get_secret_value() for each in found] == [first, second]
    assert first not in repr(get_settings())


def test_doctor_names_plain_values_until_they_are_encrypted(run: Run) -> None:
    plant()
    found = doctor(run)
    assert (found["ok"], found["detail"]) == (False, "plain text: endpoints.url (1)")
    assert "aura secrets rotate" in found["fix"]
    assert run("secrets", "rotate").out == "1 values encrypted with the first key\n"
    assert doctor(run)["detail"] == "encrypted"
    assert doctor(run)["ok"]
    with reading() as session:
        assert audit.listing(session)[0]["action"] == "secrets.rotate"
        assert endpoints.get(session, "slack").url == PLAIN


def test_doctor_names_values_that_no_key_decrypts(run: Run, configure: Callable[..., Any]) -> None:
    url = get_settings().database_url.get_secret_value()
    configure(AURA_ENCRYPTION_KEYS=KEY, DATABASE_URL=url)
    with transaction() as session:
        endpoints.add(session, "slack", "slack", PLAIN)
    configure(AURA_ENCRYPTION_KEYS=OTHER, DATABASE_URL=url)
    found = doctor(run)
    assert (found["ok"], found["detail"]) == (False, "no key decrypts endpoints.url (1)")
    listed = run("endpoints", "list")
    assert (listed.code, "AURA_ENCRYPTION_KEYS: no key decrypts endpoints.url" in listed.err) == (2, True)
    assert run("secrets", "rotate").code == 2


def test_migrate_encrypts_unless_a_worker_runs(run: Run) -> None:
    plant()
    with transaction() as session:
        beat(session, "w1", "host:1")
    run("migrate")
    assert plain() == {"endpoints.url": 1}
    with transaction() as session:
        session.execute(text("DELETE FROM workers"))
    assert "1 secrets encrypted" in run("migrate").out
    assert plain() == {}


def test_the_scheduler_encrypts_when_the_earlier_version_is_gone() -> None:
    plant()
    with transaction() as session:
        beat(session, "w1", "host:1")
        session.execute(text("UPDATE workers SET version = '0.1.9'"))
    assert encrypt_secrets() == 0
    with transaction() as session:
        session.execute(text("UPDATE workers SET heartbeat_at = '2026-01-01 00:00:00.000000'"))
    with transaction():  # as the scheduler does
        assert encrypt_secrets() == 1
    assert encrypt_secrets() == 0
    assert plain() == {}


def test_secrets_are_plain_again_for_an_earlier_version(run: Run) -> None:
    with transaction() as session:
        endpoints.add(session, "slack", "slack", PLAIN)
    assert plain() == {}
    assert run("secrets", "decrypt").out == "1 values stored as plain text\n"
    assert plain() == {"endpoints.url": 1}
