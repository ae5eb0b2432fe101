"""Tokens of any OAuth 2.0 server, by Authlib."""

from __future__ import annotations

import pytest

from aura.oauth import LoginRequired, TokenRefused, TokenServerUnavailable, custom
from aura.settings import SettingsError
from tests.oauth_server import TokenServer
from tests.unit.oauth.conftest import Configured


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post"])
def test_the_secret_is_sent_in_the_way_that_the_server_takes(server: TokenServer, configured: Configured, method: str):
    client = server.add_client("desk", methods=(method,))
    settings = configured(oauth_client_id=client.id, oauth_client_secret=client.secret)
    assert custom.client_credentials(settings).access_token == server.state.issued[0].value


def test_a_wrong_secret_is_refused_after_both_ways(server: TokenServer, configured: Configured):
    with pytest.raises(TokenRefused, match="AURA_OAUTH_CLIENT_SECRET") as caught:
        custom.client_credentials(configured(oauth_client_secret="hunter2"))
    assert server.paths("token") == 2
    assert "hunter2" not in str(caught.value)


def test_the_scope_is_sent(server: TokenServer, configured: Configured):
    custom.client_credentials(configured(oauth_scope="imap smtp"))
    assert server.state.requests[-1][1]["scope"] == "imap smtp"


def test_a_login_waits_with_the_interval_of_the_server(server: TokenServer, configured: Configured):
    public = server.add_client("desk", public=True)
    server.state.interval = 7
    settings = configured(oauth_client_id=public.id, oauth_client_secret=None)
    codes: list[str] = []
    pauses: list[float] = []
    replies = {2: (400, {"error": "slow_down"}), 3: (503, {})}

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        answer = replies.get(len(pauses))
        server.state.reply = lambda path, form: answer
        if len(pauses) == 5:
            server.decide(codes[0])

    answer = custom.device_login(settings, lambda url, code, left: codes.append(code), sleep)
    # pending, slow down, an outage, pending, approved
    assert pauses == [7, 7, 12, 24, 24]
    assert answer.refresh_token
    assert custom.refresh(settings, answer.refresh_token).refresh_token


def test_a_login_that_is_declined_is_named(server: TokenServer, configured: Configured):
    public = server.add_client("desk", public=True)
    settings = configured(oauth_client_id=public.id, oauth_client_secret=None)
    with pytest.raises(LoginRequired, match="declined"):
        custom.device_login(settings, lambda url, code, left: server.decide(code, False), lambda seconds: None)


def test_a_code_that_nobody_enters_ends_the_login(server: TokenServer, configured: Configured):
    flow = {"device_code": "d", "user_code": "u", "verification_uri": "https://login.example", "expires_in": 0.05}

    def reply(path: str, form: dict[str, str]) -> tuple[int, object]:
        return (200, flow) if path.endswith("/devicecode") else (400, {"error": "authorization_pending"})

    server.state.reply = reply
    with pytest.raises(LoginRequired, match="in time"):
        custom.device_login(configured(), lambda url, code, left: None, lambda seconds: None)


@pytest.mark.parametrize(
    ("status", "body", "error", "says"),
    [
        (400, {"error": "unauthorized_client"}, TokenRefused, "not allowed"),
        (400, {"error": "invalid_grant"}, LoginRequired, "log in again"),
        (200, {"error": "invalid_scope"}, TokenRefused, "AURA_OAUTH_SCOPE"),
        (200, {"hello": 1}, TokenRefused, "no access token"),
        (200, '{"access_token": ', TokenRefused, "no access token"),
        (400, {"error": "<script>hunter2"}, TokenRefused, "an unknown error"),
        (400, {"error": "server_error"}, TokenServerUnavailable, "server_error"),
        (503, {}, TokenServerUnavailable, "503"),
    ],
)
def test_each_answer_is_one_kind_of_error(
    server: TokenServer, configured: Configured, status: int, body: object, error: type[Exception], says: str
):
    server.state.reply = lambda path, form: (status, body)
    with pytest.raises(error, match=says) as caught:
        custom.refresh(configured(), "old-hunter2")
    assert type(caught.value) is error
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("name", ["oauth_client_id", "oauth_client_secret", "oauth_token_url"])
def test_a_missing_setting_is_named(configured: Configured, name: str):
    with pytest.raises(SettingsError, match=f"AURA_{name.upper()}: not set"):
        custom.client_credentials(configured(**{name: None}))
