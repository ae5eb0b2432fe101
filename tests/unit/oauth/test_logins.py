"""The stored logins: encrypted, renewed by one process at a time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import select

from aura.oauth import LoginRequired, TokenServerUnavailable, custom, grants, logins
from aura.oauth.logins import Logins
from aura.settings import SettingsError
from db import reading, transaction
from db.models import OAuthLogin
from tests.oauth_server import TokenServer
from tests.unit.oauth.conftest import Configured

DESK = "desk@example.com"

pytestmark = pytest.mark.usefixtures("sqlite")


def test_a_login_is_stored_encrypted(configured: Configured):
    stored = Logins("custom", DESK, configured())
    stored.save("hunter2")
    assert stored.load().refresh_token == "hunter2"
    assert "hunter2" not in repr(stored.load())
    with reading() as session:
        [row] = session.scalars(select(OAuthLogin.refresh_token))
    assert "hunter2" not in row


def test_another_key_or_another_mailbox_cannot_read_it(configured: Configured):
    Logins("custom", DESK, configured()).save("hunter2")
    with pytest.raises(LoginRequired, match="AURA_OAUTH_STORE_KEY"):
        Logins("custom", DESK, configured(oauth_store_key="x" * 32)).load()
    with transaction() as session:
        session.query(OAuthLogin).update({"mailbox": "boss@example.com"})
    with pytest.raises(LoginRequired, match="AURA_OAUTH_STORE_KEY"):
        Logins("custom", "boss@example.com", configured()).load()
    with pytest.raises(LoginRequired, match="nobody has logged in"):
        Logins("custom", DESK, configured()).load()


def test_without_a_key_nothing_is_stored(configured: Configured, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("db.encryption.available", lambda: False)
    stored = Logins("custom", DESK, configured(oauth_store_key=None))
    with pytest.raises(SettingsError, match="AURA_ENCRYPTION_KEYS: not set"):
        stored.check_key()
    with pytest.raises(SettingsError, match="AURA_ENCRYPTION_KEYS: not set"):
        stored.save("hunter2")


def test_a_login_with_the_store_key_of_earlier_versions_needs_it_no_longer_after_a_new_login(configured: Configured):
    Logins("custom", DESK, configured()).save("hunter2")
    without = Logins("custom", DESK, configured(oauth_store_key=None))
    with pytest.raises(LoginRequired, match="AURA_OAUTH_STORE_KEY"):
        without.load()
    without.save("hunter3")
    assert without.load().refresh_token == Logins("custom", DESK, configured()).load().refresh_token == "hunter3"


def test_a_renewal_replaces_the_token_unless_a_person_logged_in_or_out_since(configured: Configured):
    stored = Logins("custom", DESK, configured())
    stored.save("first")
    old = stored.load()
    stored.renewed(old, "second")
    assert stored.load().refresh_token == "second"
    stored.renewed(stored.load(), "")
    assert stored.load().refresh_token == "second"
    stored.save("third")
    stored.renewed(old, "late")
    assert stored.load().refresh_token == "third"
    assert stored.remove()
    stored.renewed(old, "late")
    assert not stored.remove()


def test_processes_that_renew_at_the_same_time_use_no_refresh_token_twice(server: TokenServer, configured: Configured):
    # Given a server that accepts a refresh token once
    public = server.add_client(DESK, public=True)
    settings = configured(oauth_client_id=public.id, oauth_client_secret=None)
    answer = custom.device_login(settings, lambda url, code, left: server.decide(code), lambda seconds: None)
    Logins("custom", DESK, settings).save(answer.refresh_token)
    processes = [grants.make_grant("custom", DESK, settings) for _ in range(4)]

    with ThreadPoolExecutor(4) as pool:
        tokens = [value for value, _ in pool.map(lambda grant: grant.fetch(), processes)]

    assert len(set(tokens)) == 4
    assert grants.make_grant("custom", DESK, settings).fetch()


def test_a_lease_that_is_not_released_is_temporary(configured: Configured, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(logins, "WAIT_SECONDS", 0.0)
    stored = Logins("custom", DESK, configured())
    with stored.exclusive():
        with pytest.raises(TokenServerUnavailable, match="another process"), stored.exclusive():
            pass
        with Logins("google", DESK, configured()).exclusive():
            pass
    with stored.exclusive():
        pass
