"""Tokens of Microsoft, by msal."""

from __future__ import annotations

import threading

import pytest

from aura.oauth import LoginRequired, TokenRefused, TokenServerUnavailable, microsoft
from aura.settings import SettingsError
from tests.oauth_server import TokenServer
from tests.unit.oauth.conftest import Configured


def refused(server: TokenServer, number: int, error: str = "invalid_client") -> None:
    """Have the token endpoint answer like Entra."""
    body = {
        "error": error,
        "error_description": f"AADSTS{number}: the secret hunter2 of desk. Trace ID: 1",
        "error_codes": [number],
    }
    server.state.reply = lambda path, form: (400, body) if path.endswith("/token") else None


def test_client_credentials_ask_for_the_scope_of_exchange(server: TokenServer, configured: Configured):
    answer = microsoft.client_credentials(configured())
    assert (answer.access_token, answer.expires_in) == (server.state.issued[0].value, 3600)
    _, form = server.state.requests[-1]
    assert (form["grant_type"], form["scope"]) == ("client_credentials", "https://outlook.office365.com/.default")


def test_each_call_asks_for_a_new_token(configured: Configured):
    # msal itself would return the first one from its cache
    settings = configured()
    assert microsoft.client_credentials(settings).access_token != microsoft.client_credentials(settings).access_token


def test_a_login_shows_the_code_waits_and_can_be_renewed(server: TokenServer, configured: Configured):
    public = server.add_client("desk@example.com", public=True)
    settings = configured(oauth_client_id=public.id, oauth_client_secret=None, oauth_scope="mail offline_access")
    shown: list[tuple[str, str, float]] = []

    def show(url: str, code: str, seconds: float) -> None:
        shown.append((url, code, seconds))
        server.decide(code)

    answer = microsoft.device_login(settings, show)
    assert shown[0][0] == "https://login.example/device"
    assert answer.refresh_token
    renewed = microsoft.refresh(settings, answer.refresh_token)
    assert renewed.refresh_token not in ("", answer.refresh_token)
    assert "offline_access" in server.state.requests[-1][1]["scope"].split()
    with pytest.raises(LoginRequired):
        microsoft.refresh(settings, answer.refresh_token)


def test_a_declined_login_and_a_late_one_are_named(server: TokenServer, configured: Configured):
    public = server.add_client("desk@example.com", public=True)
    settings = configured(oauth_client_id=public.id, oauth_client_secret=None)
    with pytest.raises(LoginRequired, match="declined"):
        microsoft.device_login(settings, lambda url, code, seconds: server.decide(code, approved=False))

    def expire(url: str, code: str, seconds: float) -> None:
        for device in server.state.devices.values():
            device["expires_at"] = 0

    with pytest.raises(LoginRequired, match="in time"):
        microsoft.device_login(settings, expire)


@pytest.mark.parametrize(
    ("number", "names"),
    [
        (700016, "AURA_OAUTH_CLIENT_ID"),
        (7000215, "Value, not its Secret ID"),
        (7000222, "expired"),
        (65001, "Grant admin consent"),
        (7000218, "Allow public client flows"),
        (53003, "Conditional Access"),
        (1002012, "AURA_OAUTH_SCOPE"),
        (123456, "AADSTS123456"),
    ],
)
def test_a_refusal_names_the_code_and_the_correction(
    server: TokenServer, configured: Configured, number: int, names: str
):
    refused(server, number)
    with pytest.raises(TokenRefused, match=names) as caught:
        microsoft.client_credentials(configured())
    assert not isinstance(caught.value, LoginRequired)
    assert f"AADSTS{number}" in str(caught.value)
    assert "hunter2" not in str(caught.value), "the description may quote anything"


@pytest.mark.parametrize("number", [50173, 700082, 50076])
def test_an_expired_login_needs_a_person(server: TokenServer, configured: Configured, number: int):
    refused(server, number, "invalid_grant")
    with pytest.raises(LoginRequired, match=f"AADSTS{number}"):
        microsoft.refresh(configured(), "old")


@pytest.mark.parametrize(
    ("endpoint", "status", "body"),
    [
        ("/token", 503, {}),
        ("/token", 429, {}),
        ("/token", 400, {"error": "temporarily_unavailable", "error_codes": [90033]}),
        ("/openid-configuration", 503, {}),
        ("/openid-configuration", 429, {}),
    ],
)
def test_an_outage_is_no_wrong_setting(
    server: TokenServer, configured: Configured, endpoint: str, status: int, body: dict[str, object]
):
    server.state.reply = lambda path, form: (status, body) if path.endswith(endpoint) else None
    with pytest.raises(TokenServerUnavailable):
        microsoft.client_credentials(configured())
    # and it is over at once, where msal's own cache repeats the answer for a minute
    server.state.reply = lambda path, form: None
    assert microsoft.client_credentials(configured()).access_token


def test_an_unknown_tenant_names_the_setting(configured: Configured):
    with pytest.raises(TokenRefused, match="no tenant nobody"):
        microsoft.client_credentials(configured(oauth_tenant="nobody"))


@pytest.mark.parametrize("name", ["oauth_client_id", "oauth_client_secret", "oauth_tenant"])
def test_a_missing_setting_is_named(configured: Configured, name: str):
    with pytest.raises(SettingsError, match=f"AURA_{name.upper()}: not set"):
        microsoft.client_credentials(configured(**{name: None}))


def test_concurrent_requests_share_no_state(server: TokenServer, configured: Configured):
    settings, values = configured(), set()
    threads = [
        threading.Thread(target=lambda: values.add(microsoft.client_credentials(settings).access_token))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(values) == 4
