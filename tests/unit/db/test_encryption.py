"""`EncryptedText`: what is stored, which keys open it, and what an error says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import Column, Integer, MetaData, Table, create_engine, insert, select, text
from sqlalchemy.engine import Connection

from aura.errors import ConfigurationError
from aura.settings import SettingsError
from db.encryption import EncryptedText, EncryptionKeyError, available, current, decrypt, encrypt, reencrypt

SECRET = "https://hooks.example.com/services/T1/very-secret"
FIRST, SECOND = "first-key-0123456789-abcdefghijklmnop", "other-key-9876543210-qrstuvwxyzabcdef"
LABEL = "things.secret"
things = Table(
    "things",
    MetaData(),
    Column("id", Integer, primary_key=True),
    Column("secret", EncryptedText(LABEL)),
    Column("old_secret", EncryptedText(LABEL)),
)


@pytest.fixture
def keys(configure: Callable[..., Any]) -> Callable[..., None]:
    """Return a function that sets the encryption keys; without one, PostgreSQL in development has none."""

    def keys(*values: str, url: str = "postgresql://aura@db/aura") -> None:
        configure(AURA_ENCRYPTION_KEYS=",".join(values), DATABASE_URL=url)

    return keys


@pytest.fixture
def connection(keys: Callable[..., None]) -> Iterator[Connection]:
    keys(FIRST)
    engine = create_engine("sqlite://")
    things.metadata.create_all(engine)
    with engine.connect() as connection:
        yield connection
    engine.dispose()


def test_a_column_stores_no_byte_of_the_text(connection: Connection) -> None:
    connection.execute(insert(things).values(secret=SECRET))
    [stored] = connection.scalars(text("SELECT secret FROM things"))
    assert stored.startswith("enc:")
    assert "example" not in stored and "secret" not in stored
    assert connection.scalar(select(things.c.secret)) == SECRET


def test_the_same_text_is_stored_differently_each_time(keys: Callable[..., None]) -> None:
    keys(FIRST)
    assert encrypt(SECRET, LABEL) != encrypt(SECRET, LABEL)


@pytest.mark.parametrize("value", [None, ""])
def test_no_value_stays_no_value(connection: Connection, value: str | None) -> None:
    connection.execute(insert(things).values(secret=value))
    assert list(connection.scalars(text("SELECT secret FROM things"))) == [value]
    assert connection.scalar(select(things.c.secret)) == value


@pytest.mark.parametrize("value", ["ключ 🔑", "a" * 100_000, "enc:", "enc:something", " \n"])
def test_any_text_comes_back_as_it_was(connection: Connection, value: str) -> None:
    connection.execute(insert(things).values(secret=value))
    assert connection.scalar(select(things.c.secret)) == value


def test_a_plain_value_of_an_earlier_version_is_read(connection: Connection) -> None:
    connection.execute(text("INSERT INTO things (secret) VALUES ('plain')"))
    assert connection.scalar(select(things.c.secret)) == "plain"


def test_columns_of_one_label_exchange_values(connection: Connection) -> None:
    connection.execute(insert(things).values(secret=SECRET, old_secret=""))
    connection.execute(things.update().values(old_secret=things.c.secret, secret="new"))
    assert connection.execute(select(things.c.secret, things.c.old_secret)).one() == ("new", SECRET)


@pytest.mark.parametrize("condition", [things.c.secret.is_(None), things.c.secret == "", things.c.secret != None])  # noqa: E711
def test_a_column_can_be_searched_for_no_value(connection: Connection, condition: Any) -> None:
    connection.execute(insert(things).values(secret=SECRET))
    assert len(connection.execute(select(things.c.id).where(condition)).all()) in (0, 1)


def test_a_comparison_with_an_encrypted_column_is_refused() -> None:
    for compare in (
        lambda: things.c.secret == SECRET,
        lambda: things.c.secret.in_([SECRET]),
        lambda: things.c.secret.like("%x%"),
    ):
        with pytest.raises(NotImplementedError, match="keyed hash"):
            compare()


def test_every_key_decrypts_and_the_first_encrypts(keys: Callable[..., None]) -> None:
    keys(FIRST)
    old = encrypt(SECRET, LABEL)
    keys(SECOND, FIRST)
    new = encrypt(SECRET, LABEL)
    assert decrypt(old, LABEL) == decrypt(new, LABEL) == SECRET
    assert (current(old, LABEL), current(new, LABEL)) == (False, True)
    keys(SECOND)
    assert decrypt(new, LABEL) == SECRET
    with pytest.raises(EncryptionKeyError):
        decrypt(old, LABEL)


def test_a_rotated_value_needs_the_new_key_alone(keys: Callable[..., None]) -> None:
    keys(FIRST)
    old = encrypt(SECRET, LABEL)
    keys(SECOND, FIRST)
    rotated = reencrypt(old, LABEL)
    assert reencrypt(rotated, LABEL) == rotated
    assert reencrypt("plain", LABEL).startswith("enc:")
    keys(SECOND)
    assert decrypt(rotated, LABEL) == SECRET


def test_an_error_names_setting_and_column_and_not_the_value(keys: Callable[..., None]) -> None:
    keys(FIRST)
    stored = encrypt(SECRET, LABEL)
    keys(SECOND)
    with pytest.raises(ConfigurationError, match="AURA_ENCRYPTION_KEYS") as caught:
        decrypt(stored, LABEL)
    assert LABEL in str(caught.value)
    assert stored not in str(caught.value) and SECOND not in str(caught.value)
    assert caught.value.__context__ is None and caught.value.__cause__ is None


@pytest.mark.parametrize("stored", ["enc:", "enc:x", "enc:gAAAAA==", "enc:ключ", "enc:" + "A" * 200])
def test_a_damaged_value_is_an_error_that_names_the_column(keys: Callable[..., None], stored: str) -> None:
    keys(FIRST)
    with pytest.raises(EncryptionKeyError, match=LABEL):
        decrypt(stored, LABEL)


def test_a_value_of_another_column_does_not_open(keys: Callable[..., None]) -> None:
    keys(FIRST)
    with pytest.raises(EncryptionKeyError):
        decrypt(encrypt(SECRET, "users.totp_seed"), LABEL)


def test_an_error_in_a_statement_stays_the_error_itself(connection: Connection, keys: Callable[..., None]) -> None:
    connection.execute(insert(things).values(secret=SECRET))
    keys(SECOND)
    with pytest.raises(EncryptionKeyError):
        connection.execute(select(things.c.secret)).all()
    keys()
    with pytest.raises(EncryptionKeyError, match="looks encrypted"):
        connection.execute(insert(things).values(secret="enc:x"))


def test_without_a_key_values_are_plain_and_encrypted_ones_are_an_error(keys: Callable[..., None]) -> None:
    keys(FIRST)
    stored = encrypt(SECRET, LABEL)
    keys()
    assert not available()
    assert encrypt(SECRET, LABEL) == reencrypt(SECRET, LABEL) == decrypt(SECRET, LABEL) == SECRET
    assert not current(SECRET, LABEL)
    with pytest.raises(EncryptionKeyError, match="AURA_ENCRYPTION_KEYS: not set"):
        decrypt(stored, LABEL)


@pytest.mark.parametrize("key", ["short", "a" * 64, "ab" * 40, "good-key-0123456789-abcdefghijklmnop,short"])
def test_a_weak_key_is_refused_without_its_text(configure: Callable[..., Any], key: str) -> None:
    with pytest.raises(SettingsError, match="AURA_ENCRYPTION_KEYS") as caught:
        configure(AURA_ENCRYPTION_KEYS=key)
    assert key not in str(caught.value)
