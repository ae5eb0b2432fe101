"""No secret and no token reaches a log, not even with the libraries' own debug logs."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable

import pytest

from aura.oauth import TokenRefused, custom, google, microsoft
from aura.oauth.answer import Answer
from aura.settings import Settings
from tests.oauth_server import TokenServer
from tests.unit.oauth.conftest import Configured

DESK = "desk@example.com"


@pytest.mark.parametrize("provider", ["microsoft", "google", "custom"])
def test_debug_logs_contain_no_secret(
    server: TokenServer, configured: Configured, caplog: pytest.LogCaptureFixture, provider: str
):
    for name in ("", "google", "google.auth", "msal", "authlib", "urllib3"):
        caplog.set_level(logging.DEBUG, name)
    key = server.add_service_account(DESK)
    ask: dict[str, Callable[[Settings], Answer]] = {
        "microsoft": microsoft.client_credentials,
        "google": lambda settings: google.service_account(settings, DESK),
        "custom": custom.client_credentials,
    }
    settings = configured(oauth_service_account=json.dumps(key))
    answer = ask[provider](settings)
    server.state.reply = lambda path, form: (400, {"error": "invalid_client"}) if path.endswith("/token") else None
    with pytest.raises(TokenRefused):
        ask[provider](settings)

    # the server logs in threads of its own
    records = [record for record in caplog.records if record.thread == threading.get_ident()]
    assert records, "the libraries log"
    logged = "".join(f"{record.getMessage()} {record.__dict__}" for record in records)
    secret = settings.oauth_client_secret
    assert secret is not None
    secrets = [answer.access_token, secret.get_secret_value(), key["private_key"].splitlines()[1]]
    secrets += [form["assertion"] for _, form in server.state.requests if "assertion" in form]
    assert [each for each in secrets if each in logged] == []
