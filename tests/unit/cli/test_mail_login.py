"""`aura mail login` and `aura mail logout`; the device flow is in tests/integration/test_mail_oauth.py."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import typer

from aura.cli import mail_login
from aura.oauth.logins import Logins
from tests.commands import Run
from tests.oauth_server import TokenServer
from tests.receiver import PEM

DESK = "desk@example.com"

pytestmark = pytest.mark.usefixtures("sqlite")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, configure: Callable[..., Any]) -> Iterator[TokenServer]:
    monkeypatch.setenv("SSL_CERT_FILE", str(PEM))
    with TokenServer() as server:
        client = server.add_client(DESK)
        configure(
            AURA_IMAP_URL="imaps://Desk%40example.com@127.0.0.1/INBOX",
            AURA_IMAP_OAUTH="google",
            AURA_OAUTH_CLIENT_ID=client.id,
            AURA_OAUTH_CLIENT_SECRET=client.secret,
            AURA_OAUTH_TOKEN_URL=server.token_url,
            AURA_OAUTH_STORE_KEY="k" * 32,
        )
        yield server


def test_a_person_pastes_the_address_that_google_leads_to(
    server: TokenServer, run: Run, configure: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
):
    shown: list[str] = []
    show = mail_login._show

    def show_and_record(url: str, code: str, seconds: float) -> None:
        shown.append(url)
        show(url, code, seconds)

    monkeypatch.setattr(mail_login, "_show", show_and_record)
    monkeypatch.setattr(typer, "prompt", lambda *_arguments, **_options: server.consent(shown[0]))

    result = run("mail", "login")

    assert (result.code, result.out) == (0, ""), result.err
    assert shown[0] in result.err.replace("\n", ""), "an address that is broken into lines cannot be opened"
    assert Logins("google", DESK, configure()).load().refresh_token
    assert run("mail", "logout").code == 0
    assert run("mail", "logout").code == 1


@pytest.mark.parametrize(
    ("variables", "code", "says"),
    [
        ({"AURA_IMAP_OAUTH": ""}, 2, "AURA_IMAP_OAUTH: not set"),
        ({"AURA_OAUTH_STORE_KEY": "short-hunter2"}, 2, "AURA_OAUTH_STORE_KEY: must have 32 characters"),
        ({"AURA_IMAP_OAUTH": "microsoft", "AURA_OAUTH_CLIENT_ID": ""}, 1, "client credentials"),
        ({"AURA_OAUTH_SERVICE_ACCOUNT": "{}"}, 1, "no login is needed: the settings obtain tokens by service account"),
        ({"AURA_IMAP_URL": "imaps://desk:hunter2@127.0.0.1/"}, 2, "AURA_IMAP_URL: with AURA_IMAP_OAUTH=google"),
        (
            {"AURA_OAUTH_TOKEN_URL": "http://login.example.com/hunter2"},
            2,
            "AURA_OAUTH_TOKEN_URL: must start with https://",
        ),
    ],
)
@pytest.mark.usefixtures("server")
def test_a_login_that_cannot_be_used_is_named(
    run: Run, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], code: int, says: str
):
    from aura.settings import get_settings

    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    get_settings.cache_clear()
    result = run("mail", "login")
    assert (result.code, result.out) == (code, "")
    assert says in result.err
    assert "hunter2" not in result.err


@pytest.mark.usefixtures("server")
def test_smtp_has_a_login_of_its_own(run: Run, configure: Callable[..., Any]):
    assert "AURA_SMTP_OAUTH: not set" in run("mail", "login", "--smtp").err
    configure(AURA_SMTP_OAUTH="microsoft", SMTP_URL="smtp://alerts%40example.com@127.0.0.1")
    assert "no login of alerts@example.com at microsoft is stored" in run("mail", "logout", "--smtp").err
