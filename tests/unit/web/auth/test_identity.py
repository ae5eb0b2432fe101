"""Identity: use of API keys, and no access without a credential."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select

from aura.settings import SettingsError, get_settings
from aura.web.auth import identity
from db import reading
from db.models import ApiKey
from tests.embedded import move
from tests.unit.web.clients import anonymous_client, audit_entries, create_key, create_user, log_in, remote_client


def test_the_use_of_a_key_is_recorded():
    answer = remote_client().post(
        "/tickets", json={"title": "x"}, headers={"Authorization": f"Bearer {create_key('submit')}"}
    )

    assert answer.status_code == 202
    with reading() as session:
        assert session.scalars(select(ApiKey.last_used_at)).one() is not None


def test_the_use_of_a_key_is_written_once_a_minute():
    secret = create_key("read")
    web = remote_client(Authorization=f"Bearer {secret}")
    written = []
    for since in (-30.0, -90.0):
        move(ApiKey, last_used_at=since)
        with reading() as session:
            before = session.scalars(select(ApiKey.last_used_at)).one()
        assert web.get("/api/v1/session").json()["who"] == "key test"
        with reading() as session:
            written.append(session.scalars(select(ApiKey.last_used_at)).one() != before)

    assert written == [False, True]


@pytest.mark.parametrize("env", ["development", "production"])
@pytest.mark.parametrize(
    "web",
    [
        lambda: anonymous_client(),
        lambda: anonymous_client(Host="localhost"),
        lambda: anonymous_client(Host="desk.example.com"),
        lambda: anonymous_client(**{"X-Forwarded-For": "127.0.0.1"}),
        lambda: anonymous_client(**{"Sec-Fetch-Site": "same-origin", "Origin": "http://127.0.0.1:8000"}),
        lambda: remote_client(address="192.0.2.7", url="http://127.0.0.1:8000"),
    ],
    ids=["this machine", "localhost", "a proxy with Host", "a proxy", "a page of this site", "another machine"],
)
def test_nothing_is_open_without_a_credential(web: Callable[[], TestClient], env: str, monkeypatch: pytest.MonkeyPatch):
    client = web()
    monkeypatch.setattr(type(get_settings()), "production", env == "production")

    assert client.post("/tickets", json={"title": "x"}).status_code == 401
    assert client.get("/api/v1/session").status_code == 401
    create_user("admin", "ada")
    assert client.get("/api/v1/session").status_code == 401


def test_production_needs_a_key_or_a_user(monkeypatch: pytest.MonkeyPatch):
    assert "aura users login-link" in identity.access_mode()
    monkeypatch.setattr(type(get_settings()), "production", True)
    with pytest.raises(SettingsError, match="needs an API key or a user"):
        identity.access_mode()
    create_key("submit")
    assert "API keys and sessions" in identity.access_mode()


def test_a_wrong_key_is_recorded():
    assert remote_client(Authorization="Bearer aura_wrong").get("/api/v1/session").status_code == 401

    assert audit_entries() == [("unknown", "key.refuse", "key")]


def test_a_missing_scope_is_recorded():
    secret = create_key("read", name="dashboard")
    assert remote_client(Authorization=f"Bearer {secret}").post("/tickets", json={"title": "x"}).status_code == 403

    assert audit_entries() == [("key dashboard", "access.refuse", "key/dashboard")]


def test_a_role_that_requires_a_second_factor_has_no_access_without_it(configure: Any):
    configure(AURA_REQUIRE_TOTP="admin")
    create_user("admin", "ada")
    create_user("viewer", "bob")
    ada, bob = remote_client(), remote_client()
    log_in(ada, "ada")
    log_in(bob, "bob")

    answer = ada.get("/api/v1/session")
    assert (answer.status_code, "second factor" in answer.text) == (403, True)
    assert ada.get("/account").status_code == 200
    assert bob.get("/api/v1/session").status_code == 200
