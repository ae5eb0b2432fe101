"""The choice of the grant from the settings."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from aura.oauth import grants, token_source
from aura.settings import SettingsError, given
from tests.oauth_server import TokenServer
from tests.unit.oauth.conftest import Configured


@pytest.mark.parametrize(
    ("provider", "settings", "name"),
    [
        ("microsoft", {"oauth_client_secret": "s"}, "client credentials"),
        ("microsoft", {}, "login"),
        ("microsoft", {"oauth_client_secret": "s", "oauth_refresh_token": "r"}, "refresh token"),
        ("google", {"oauth_service_account": "{}", "oauth_refresh_token": "r"}, "service account"),
        ("google", {"oauth_client_secret": "s", "oauth_refresh_token": "r"}, "refresh token"),
        ("google", {"oauth_client_secret": "s"}, "login"),
        ("custom", {"oauth_client_secret": "s"}, "client credentials"),
        ("custom", {"oauth_client_secret": "s", "oauth_device_url": "https://a/device"}, "login"),
    ],
)
def test_the_settings_choose_the_grant(provider: Any, settings: dict[str, str], name: str):
    assert grants.make_grant(provider, "desk@example.com", given(**settings)).name == name


def test_a_mailbox_has_one_token_source_in_a_process():
    settings = given(oauth_client_secret="s")
    assert token_source("microsoft", "a@b", settings) is token_source(
        "microsoft", "a@b", given(oauth_client_secret="s")
    )
    assert token_source("microsoft", "a@b", settings) is not token_source("microsoft", "c@b", settings)


def test_a_refresh_token_of_a_setting_is_replaced_by_issued_tokens(server: TokenServer, configured: Configured):
    public = server.add_client("desk", public=True)
    settings = configured(oauth_client_id=public.id, oauth_client_secret=None)
    first = grants.import_provider("custom").device_login(
        settings, lambda url, code, left: server.decide(code), lambda s: None
    )
    grant = grants.make_grant(
        "custom", "desk", configured(**_public(public.id), oauth_refresh_token=first.refresh_token)
    )
    assert grant.fetch()[0] != grant.fetch()[0]


def _public(client_id: str) -> dict[str, Any]:
    return {"oauth_client_id": client_id, "oauth_client_secret": None}


@pytest.mark.parametrize(
    ("provider", "module", "settings"),
    [
        ("microsoft", "msal", {"oauth_client_secret": "s", "oauth_client_id": "c", "oauth_tenant": "t"}),
        ("google", "google.oauth2.service_account", {"oauth_service_account": "{}"}),
        ("custom", "authlib.integrations.base_client", {"oauth_client_secret": "s", "oauth_client_id": "c"}),
    ],
)
def test_a_missing_library_names_the_extra(
    provider: Any, module: str, settings: dict[str, str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.delitem(sys.modules, f"aura.oauth.{provider}", raising=False)
    with pytest.raises(SettingsError, match=r"pip install 'aura-desk\[oauth\]'"):
        grants.make_grant(provider, "desk@example.com", given(**settings)).fetch()
