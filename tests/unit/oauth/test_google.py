"""Tokens of Google, by google-auth."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from aura.oauth import LoginRequired, TokenRefused, TokenServerUnavailable, google
from aura.settings import SettingsError
from tests.oauth_server import TokenServer
from tests.unit.oauth.conftest import Configured

DESK = "desk@example.com"


def no_prompt() -> str:
    raise AssertionError("asked for an address")


def test_a_service_account_acts_for_the_mailbox(server: TokenServer, configured: Configured, tmp_path: Path):
    key = json.dumps(server.add_service_account(DESK))
    answer = google.service_account(configured(oauth_service_account=key), DESK)
    assert server.state.issued[0].mailbox == DESK
    assert 3500 < float(str(answer.expires_in)) <= 3600
    (tmp_path / "key.json").write_text(key)
    assert google.service_account(configured(oauth_service_account=str(tmp_path / "key.json")), DESK).access_token


def test_a_mailbox_that_is_not_delegated_is_refused(server: TokenServer, configured: Configured):
    key = json.dumps(server.add_service_account(DESK))
    with pytest.raises(TokenRefused, match="Google refused the token"):
        google.service_account(configured(oauth_service_account=key), "boss@example.com")


@pytest.mark.parametrize(
    ("error", "description", "names"),
    [
        ("unauthorized_client", "Client is unauthorized to retrieve access tokens", "Domain-wide delegation"),
        ("invalid_grant", "Invalid JWT: Token must be a short-lived token and in a reasonable timeframe", "clock"),
        ("invalid_grant", "Invalid JWT Signature.", "key was deleted"),
        ("invalid_grant", "Invalid email or User ID", "no user of the Workspace"),
        ("admin_policy_enforced", "", "API controls"),
        ("something_new", "hunter2", "something_new"),
    ],
)
def test_a_refusal_names_the_correction(
    server: TokenServer, configured: Configured, error: str, description: str, names: str
):
    key = json.dumps(server.add_service_account(DESK))
    server.state.reply = lambda path, form: (400, {"error": error, "error_description": description})
    with pytest.raises(TokenRefused, match=names) as caught:
        google.service_account(configured(oauth_service_account=key), DESK)
    assert not isinstance(caught.value, LoginRequired)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "key", ["{", "{}", "[]", '{"type": "service_account", "private_key": "hunter2"}', "/none/hunter2"]
)
def test_an_invalid_key_is_named_and_not_shown(configured: Configured, key: str):
    with pytest.raises(SettingsError, match="AURA_OAUTH_SERVICE_ACCOUNT") as caught:
        google.service_account(configured(oauth_service_account=key), DESK)
    assert "hunter2" not in str(caught.value)


def test_a_login_by_code_is_bound_to_this_request_and_can_be_renewed(server: TokenServer, configured: Configured):
    urls: list[str] = []
    settings = configured()
    answer = google.code_login(
        settings, DESK, lambda url, code, left: urls.append(url), lambda: server.consent(urls[0])
    )
    assert "access_type=offline" in urls[0]
    assert "code_challenge_method=S256" in urls[0]
    assert google.refresh(settings, answer.refresh_token).access_token
    # an address of another login has another state
    with pytest.raises(LoginRequired, match="not the address"):
        google.code_login(settings, DESK, lambda url, code, left: None, lambda: server.consent(urls[0]))


@pytest.mark.parametrize("address", ["", "http://127.0.0.1:53682/", "hello", "http://[", "http://127.0.0.1/?code=1"])
def test_another_address_is_no_login(configured: Configured, address: str):
    with pytest.raises(LoginRequired, match="not the address"):
        google.code_login(configured(), DESK, lambda url, code, left: None, lambda: address)


def test_a_denied_consent_is_named(configured: Configured):
    with pytest.raises(LoginRequired, match="access_denied"):
        google.code_login(
            configured(), DESK, lambda *_: None, lambda: "http://127.0.0.1:53682/?error=access_denied&state=1"
        )


def test_a_revoked_login_needs_a_person(configured: Configured):
    with pytest.raises(LoginRequired, match="invalid_grant"):
        google.refresh(configured(), "revoked")


@pytest.mark.parametrize("status", [429, 500, 503])
def test_an_outage_is_no_wrong_setting(server: TokenServer, configured: Configured, status: int):
    server.state.reply = lambda path, form: (status, {})
    with pytest.raises(TokenServerUnavailable):
        google.refresh(configured(), "any")
    with pytest.raises(TokenServerUnavailable):
        google.service_account(configured(oauth_service_account=json.dumps(server.add_service_account(DESK))), DESK)
