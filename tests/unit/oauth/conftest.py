"""A token server for each test, and the settings that name it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from aura.settings import Settings, given
from tests.oauth_server import Client, TokenServer
from tests.receiver import PEM

Configured = Callable[..., Settings]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[TokenServer]:
    monkeypatch.setenv("SSL_CERT_FILE", str(PEM))
    with TokenServer() as server:
        yield server


@pytest.fixture
def client(server: TokenServer) -> Client:
    return server.add_client("desk@example.com")


@pytest.fixture
def configured(server: TokenServer, client: Client) -> Configured:
    """A function that returns settings for the client at the token server, with changes."""

    def configured(**changes: Any) -> Settings:
        values = {
            "oauth_client_id": client.id,
            "oauth_client_secret": client.secret,
            "oauth_authority": server.authority,
            "oauth_tenant": "contoso",
            "oauth_token_url": server.token_url,
            "oauth_device_url": server.device_url,
            "oauth_store_key": "k" * 32,
        }
        return given(**{name: value for name, value in (values | changes).items() if value is not None})

    return configured
