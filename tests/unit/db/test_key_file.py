"""The key file beside a SQLite database: who may read it, and that processes agree on it."""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from aura.errors import ConfigurationError
from aura.settings import Settings
from db import key_file
from db.database import dispose
from db.encryption import EncryptionKeyError, decrypt, encrypt
from db.migrate import migrate

KEY = "first-key-0123456789-abcdefghijklmnop"


@pytest.fixture
def settings(configure: Callable[..., Settings], tmp_path: Path) -> Settings:
    return configure(DATABASE_URL=f"sqlite:///{tmp_path}/aura.db")


def test_a_key_file_is_made_for_its_owner_alone(settings: Settings, tmp_path: Path) -> None:
    previous = os.umask(0)
    try:
        [key] = key_file.keys(settings, create=True)
    finally:
        os.umask(previous)
    assert stat.S_IMODE((tmp_path / "aura.db.key").stat().st_mode) == 0o600
    assert len(key) >= 43
    assert sorted(each.name for each in tmp_path.iterdir()) == ["aura.db.key"]


def test_all_processes_get_the_same_key(settings: Settings) -> None:
    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(lambda _: key_file.keys(settings, create=True), range(16)))
    assert len(set(found)) == 1


def test_a_key_file_that_others_can_read_is_made_private(
    settings: Settings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    key_file.keys(settings, create=True)
    file = tmp_path / "aura.db.key"
    file.chmod(0o644)
    with caplog.at_level(logging.WARNING):
        key_file.keys(settings, create=True)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "aura.db.key was readable by other users" in caplog.text


@pytest.mark.parametrize("text", ["", "short", "ключ\n"])
def test_a_damaged_key_file_is_named(settings: Settings, tmp_path: Path, text: str) -> None:
    (tmp_path / "aura.db.key").write_text(text)
    with pytest.raises(ConfigurationError, match=r"aura\.db\.key: is no key"):
        key_file.keys(settings, create=True)


def test_the_setting_comes_first_and_the_file_still_decrypts(
    settings: Settings, configure: Callable[..., Any], tmp_path: Path
) -> None:
    stored = encrypt("text", "a.b")
    configure(AURA_ENCRYPTION_KEYS=KEY)
    assert decrypt(stored, "a.b") == "text"
    new = encrypt("text", "a.b")
    (tmp_path / "aura.db.key").unlink()
    assert decrypt(new, "a.b") == "text"
    with pytest.raises(EncryptionKeyError):
        decrypt(stored, "a.b")
    assert not (tmp_path / "aura.db.key").exists()


def test_a_lost_key_file_is_named(settings: Settings, tmp_path: Path) -> None:
    stored = encrypt("text", "a.b")
    (tmp_path / "aura.db.key").unlink()
    with pytest.raises(EncryptionKeyError, match=r"aura\.db\.key: no key decrypts a\.b"):
        decrypt(stored, "a.b")


@pytest.mark.parametrize(
    ("url", "file"),
    [
        ("sqlite://", None),
        ("sqlite:///:memory:", None),
        ("sqlite:///aura.db", "aura.db"),
        ("sqlite:////var/lib/aura.db?mode=rw", "/var/lib/aura.db"),
        ("sqlite:///file:/var/lib/aura.db?uri=true", "/var/lib/aura.db"),
        ("postgresql+psycopg2://u@h/n", None),
    ],
)
def test_the_file_of_a_database_url(url: str, file: str | None) -> None:
    assert key_file.database_file(url) == (Path(file) if file else None)


def test_a_sqlite_database_and_its_companions_are_private(
    settings: Settings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    previous = os.umask(0)
    try:
        migrate()
        modes = {each.name: stat.S_IMODE(each.stat().st_mode) for each in tmp_path.iterdir()}
    finally:
        dispose()
        os.umask(previous)
    assert {"aura.db", "aura.db-wal", "aura.db-shm"} <= modes.keys()
    assert set(modes.values()) == {0o600}
    assert "was readable" not in caplog.text, "private from the beginning"


def test_a_database_that_others_can_read_is_made_private(
    settings: Settings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "aura.db").touch(mode=0o644)
    (tmp_path / "aura.db").chmod(0o644)
    with caplog.at_level(logging.WARNING):
        migrate()
    dispose()
    assert stat.S_IMODE((tmp_path / "aura.db").stat().st_mode) == 0o600
    assert "aura.db was readable by other users" in caplog.text


def test_a_folder_that_does_not_exist_is_an_error_of_sqlite(configure: Callable[..., Any], tmp_path: Path) -> None:
    configure(DATABASE_URL=f"sqlite:///{tmp_path}/nowhere/aura.db")
    dispose()
    with pytest.raises(OperationalError, match="unable to open database file"):
        migrate()
    dispose()
