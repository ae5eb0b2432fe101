"""Encrypted columns: nothing of a secret is in a dump, values of earlier versions are encrypted, keys are rotated."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select, text, update
from sqlalchemy.exc import StatementError

from aura.oauth.logins import Logins
from aura.settings import get_settings
from db import encryption, endpoints, reading, secret_columns, signing_keys, transaction
from db.database import dispose
from db.encryption import EncryptionKeyError
from db.migrate import migrate
from db.models import Endpoint, OAuthLogin, SigningKey
from db.statements import table

FIRST, SECOND = "first-key-0123456789-abcdefghijklmnop", "other-key-9876543210-qrstuvwxyzabcdef"
URL, KEY, OLD_KEY, TOKEN = (f"planted-{name}-4711" for name in ("url", "whsec", "previous", "refresh"))
PLANTED = (URL, KEY, OLD_KEY, TOKEN)


@pytest.fixture
def database(configure: Callable[..., Any], database_url: str) -> Iterator[str]:
    configure(DATABASE_URL=database_url, AURA_ENCRYPTION_KEYS=FIRST)
    dispose()
    migrate()
    yield database_url
    dispose()


def plant() -> bytes:
    """Store a secret in every encrypted column, and return the signing key of the installation."""
    with transaction() as session:
        endpoints.add(session, "slack", "slack", f"https://hooks.example.com/{URL}")
        endpoints.add(session, "hook", "webhook", "https://hooks.example.com/", OLD_KEY)
        endpoints.rotate(session, "hook", KEY)
        key = signing_keys.get(session, signing_keys.UNSUBSCRIBE)
    Logins("custom", "desk@example.com", get_settings()).save(TOKEN)
    return key


def plant_plain() -> None:
    """Store secrets as an earlier version did, and one of this version."""
    with transaction() as session:
        for name, values in (
            ("endpoints", {"name": "slack", "channel": "slack", "url": URL, "secret": KEY, "old_secret": OLD_KEY}),
            ("signing_keys", {"name": "unsubscribe", "secret": "f" * 64}),
        ):
            columns = ", ".join(values)
            more = (", changed_at", ", CURRENT_TIMESTAMP") if name == "endpoints" else ("", "")
            marks = ", ".join(f":{each}" for each in values)
            session.execute(text(f"INSERT INTO {name} ({columns}{more[0]}) VALUES ({marks}{more[1]})"), values)


def dump(url: str) -> bytes:
    """Return every byte of the database: its files, or pg_dump's output."""
    if url.startswith("sqlite"):
        file = Path(url.removeprefix("sqlite:///"))
        return b"".join(each.read_bytes() for each in file.parent.glob(f"{file.name}*") if each.suffix != ".key")
    program = shutil.which("pg_dump")
    assert program
    return subprocess.run([program, url.replace("+psycopg2", "")], check=True, capture_output=True).stdout


def test_the_scan_of_a_dump_sees_plain_values(database: str) -> None:
    plant_plain()
    assert all(each.encode() in dump(database) for each in (URL, KEY, OLD_KEY, "f" * 64))


def test_a_dump_of_the_database_contains_no_secret(database: str) -> None:
    key = plant()
    dumped = dump(database)
    assert b"slack" in dumped
    assert [each for each in (*PLANTED, key.decode(), FIRST) if each.encode() in dumped] == []
    with reading() as session:
        assert endpoints.get(session, "slack").url.endswith(URL)
        assert endpoints.get(session, "hook").keys == (KEY, OLD_KEY)
        assert signing_keys.get(session, signing_keys.UNSUBSCRIBE) == key
    assert Logins("custom", "desk@example.com", get_settings()).load().refresh_token == TOKEN


def test_values_of_an_earlier_version_are_read_and_then_encrypted(database: str) -> None:
    plant_plain()
    with reading() as session:
        assert endpoints.get(session, "slack").keys == (KEY, OLD_KEY)
        assert secret_columns.count_plain(session) == {
            "endpoints.url": 1,
            "endpoints.secret": 1,
            "endpoints.old_secret": 1,
            "signing_keys.secret": 1,
        }
    assert secret_columns.encrypt_all() == 4
    assert secret_columns.encrypt_all() == 0
    dumped = dump(database)
    assert [each for each in (URL, KEY, OLD_KEY, "f" * 64) if each.encode() in dumped] == []
    with reading() as session:
        assert secret_columns.count_plain(session) == {}
        assert endpoints.get(session, "slack").url == URL
        assert endpoints.get(session, "slack").keys == (KEY, OLD_KEY)
        assert signing_keys.get(session, signing_keys.UNSUBSCRIBE) == b"f" * 64


def test_a_rotation_makes_the_previous_key_superfluous(database: str, configure: Callable[..., Any]) -> None:
    key = plant()
    configure(AURA_ENCRYPTION_KEYS=f"{SECOND},{FIRST}")
    assert secret_columns.encrypt_all() == 6
    configure(AURA_ENCRYPTION_KEYS=SECOND)
    with reading() as session:
        assert secret_columns.count_unreadable(session) == {}
        assert signing_keys.get(session, signing_keys.UNSUBSCRIBE) == key
    assert Logins("custom", "desk@example.com", get_settings()).load().refresh_token == TOKEN


def test_all_rows_are_encrypted_in_batches(database: str) -> None:
    rows = [{"name": f"e{at:03}", "channel": "slack", "url": f"{URL}{at}"} for at in range(23)]
    with transaction() as session:
        session.execute(insert(table(Endpoint)), rows)
        session.execute(text("UPDATE endpoints SET url = 'plain-' || name"))
    assert secret_columns.encrypt_all(batch=5) == 23
    with reading() as session:
        assert sorted(each.url for each in endpoints.listing(session)) == [f"plain-e{at:03}" for at in range(23)]
        assert secret_columns.count_plain(session) == {}


def test_a_value_that_changes_meanwhile_stays(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    plant_plain()

    def changes_meanwhile(stored: str, label: str) -> str:
        if stored == URL:
            with transaction() as session:
                session.execute(update(Endpoint).values(url="newer"))
        return encryption.encrypt(stored, label)

    monkeypatch.setattr(secret_columns, "reencrypt", changes_meanwhile)
    secret_columns.encrypt_all()
    with reading() as session:
        assert endpoints.get(session, "slack").url == "newer"


def test_a_value_that_no_key_decrypts_stops_no_other(database: str, configure: Callable[..., Any]) -> None:
    plant()
    configure(AURA_ENCRYPTION_KEYS=SECOND)
    with transaction() as session:
        endpoints.add(session, "later", "slack", "later")
        session.execute(text("UPDATE endpoints SET url = 'plain' WHERE name = 'later'"))
        assert secret_columns.count_unreadable(session)["endpoints.url"] == 2
    with pytest.raises(EncryptionKeyError, match=r"AURA_ENCRYPTION_KEYS: no key decrypts endpoints\."):
        secret_columns.encrypt_all()
    with reading() as session:
        assert "endpoints.url" not in secret_columns.count_plain(session)


def test_a_renewed_login_survives_a_rotation_in_between(database: str, configure: Callable[..., Any]) -> None:
    logins = Logins("custom", "desk@example.com", get_settings())
    logins.save("first")
    login = logins.load()
    configure(AURA_ENCRYPTION_KEYS=f"{SECOND},{FIRST}")
    assert secret_columns.encrypt_all() == 1
    logins.renewed(login, "second")
    assert logins.load().refresh_token == "second"


def test_every_column_of_a_secret_is_encrypted() -> None:
    found = {f"{each.name}.{column.name}" for each, columns in secret_columns.tables() for column in columns}
    for model, names in ((Endpoint, ("url", "secret", "old_secret")), (SigningKey, ("secret",))):
        assert {f"{table(model).name}.{name}" for name in names} <= found
    assert f"{table(OAuthLogin).name}.refresh_token" in found


def test_the_longest_signing_key_fits_into_its_column(database: str) -> None:
    from aura.notifications.signatures import new_secret

    with transaction() as session:
        assert endpoints.add(session, "hook", "webhook", "https://hooks.example.com/", new_secret())
    with reading() as session:
        stored = session.scalar(text("SELECT secret FROM endpoints"))
    assert stored is not None and stored.startswith("enc:") and len(stored) <= 200


def test_a_refused_statement_shows_no_parameter(database: str) -> None:
    with pytest.raises(StatementError) as caught, transaction() as session:
        session.execute(insert(table(Endpoint)).values(name=None, channel="slack", url=URL))
    assert URL not in str(caught.value)


def test_nothing_is_left_of_a_select(database: str) -> None:
    plant()
    with reading() as session:
        assert len(session.execute(select(table(Endpoint))).all()) == 2
