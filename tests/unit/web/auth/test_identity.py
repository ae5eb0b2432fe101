"""Identity: use of API keys, and open access from this machine."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select

from aura.settings import SettingsError
from aura.web.auth import identity
from db import reading
from db.models import ApiKey
from tests.embedded import move, web_app
from tests.unit.web.clients import create_key, local_client, remote_client


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


def test_open_access_ends_with_the_first_key():
    app = web_app()
    assert local_client(app).get("/api/v1/session").json()["who"] == "local"

    create_key("read")

    assert local_client(app).get("/api/v1/session").status_code == 401


@pytest.mark.parametrize(
    "web",
    [
        lambda: remote_client(address="192.0.2.7", url="http://127.0.0.1:8000"),
        lambda: remote_client(address="127.0.0.1", url="http://attacker.example:8000"),
        lambda: local_client(Origin="https://attacker.example"),
        lambda: local_client(Origin="null"),
        lambda: local_client(**{"Sec-Fetch-Site": "cross-site"}),
        lambda: local_client(**{"X-Forwarded-For": "192.0.2.7"}),
    ],
    ids=["another machine", "a rebound name", "a page elsewhere", "a sandboxed page", "a browser says so", "a proxy"],
)
def test_open_access_is_for_requests_of_this_machine(web: Callable[[], TestClient]):
    assert web().post("/tickets", json={"title": "x"}).status_code == 401


def test_production_has_no_open_access_and_needs_a_key_or_a_user(configure: Any, sqlite: str):
    configure(
        AURA_ENV="production",
        RABBITMQ_URL="amqp://aura:3hj4@rabbit/",
        DATABASE_URL="postgresql://aura:3hj4@db/aura",
        AURA_ENCRYPTION_KEYS="d2vS0v-Kk4Gq7dEwXv1u3hX0b1o8C5tYp9aQz6mJrNs",
    )
    assert not asyncio.run(identity.open_access())

    class Production:
        production = True

    with pytest.MonkeyPatch.context() as patch:
        configure(AURA_ENV="development", DATABASE_URL=sqlite)
        patch.setattr(identity, "get_settings", Production)
        with pytest.raises(SettingsError, match="needs an API key or a user"):
            identity.access_mode()
        create_key("submit")
        assert "API keys and sessions" in identity.access_mode()
