"""A mailbox with OAuth, on Dovecot and a token server: mails become tickets, and failures lose none."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from aura.mail.imap import watch
from aura.oauth import source, token_source
from aura.settings import get_settings
from db import reading
from db.models import InboundMail, Ticket
from tests.commands import Run
from tests.conftest import wait_until
from tests.embedded import count
from tests.oauth_mailbox import OAuthMailbox, mail_with_attachments
from tests.oauth_server import TokenServer
from tests.receiver import PEM
from tests.services import Dovecot

pytestmark = pytest.mark.usefixtures("sqlite")


@pytest.fixture
def tokens(dovecot: Dovecot, monkeypatch: pytest.MonkeyPatch) -> Iterator[TokenServer]:
    monkeypatch.setenv("SSL_CERT_FILE", str(PEM))
    with TokenServer(dovecot.start().token_port) as tokens:
        yield tokens


@pytest.fixture
def desk(dovecot: Dovecot, tokens: TokenServer, configure: Callable[..., Any]) -> OAuthMailbox:
    desk = OAuthMailbox(dovecot, tokens)
    configure(**desk.environment())
    return desk


def enter_code(tokens: TokenServer) -> str:
    """Enter the code of the first device as soon as there is one."""
    device = wait_until(lambda: next(iter(tokens.state.devices.values()), None))
    assert device
    tokens.decide(code := device.get_user_code())
    return str(code)


def expire_token(desk: OAuthMailbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let two hours pass on the clock by which Aura measures the life of its tokens, which is one hour."""
    monkeypatch.setattr(source, "monotonic", now := lambda: time.monotonic() + 7200)
    monkeypatch.setattr(token_source("custom", desk.user, get_settings()), "_clock", now)


@pytest.mark.parametrize("provider", ["microsoft", "custom"])
def test_a_mail_with_three_attachments_is_fetched_with_an_access_token(
    desk: OAuthMailbox, run: Run, configure: Callable[..., Any], provider: str
):
    configure(AURA_IMAP_OAUTH=provider)
    desk.deliver(raw := mail_with_attachments())

    result = run("mail", "fetch", "--once")

    assert (result.code, result.out.partition(": ")[2]) == (0, "ticket 1\n"), result.err
    assert desk.waiting() == 0
    with reading() as session:
        [stored] = session.query(InboundMail).all()
    assert stored.raw.replace(b"\r\n", b"\n") == raw
    assert [each["name"] for each in stored.attachments] == ["fire.png", "printer.log", "Größe.pdf"]


def test_a_google_service_account_opens_the_mailbox_on_whose_behalf_it_acts(
    desk: OAuthMailbox, tokens: TokenServer, run: Run, configure: Callable[..., Any]
):
    key = json.dumps(tokens.add_service_account(desk.user))
    configure(AURA_IMAP_OAUTH="google", AURA_OAUTH_SERVICE_ACCOUNT=key)
    desk.deliver(mail_with_attachments())
    assert run("mail", "fetch", "--once").out.endswith(": ticket 1\n")


def test_a_token_of_another_mailbox_is_refused_in_one_line(desk: OAuthMailbox, tokens: TokenServer, run: Run):
    desk.client.mailbox = "somebody-else"
    desk.deliver(mail_with_attachments())

    result = run("mail", "fetch", "--once")

    assert (result.code, result.out) == (2, "")
    assert f"refused the access token for {desk.user}" in result.err
    assert "Traceback" not in result.err
    assert desk.client.secret not in result.err
    assert tokens.state.issued[0].value not in result.err
    assert (count(Ticket), desk.waiting()) == (0, 1)


def test_a_token_that_the_provider_revoked_is_renewed(desk: OAuthMailbox, tokens: TokenServer):
    desk.deliver(mail_with_attachments(1))
    assert len(list(watch(desk.url, 1, once=True))) == 1
    tokens.state.issued[0].revoked = True
    desk.deliver(mail_with_attachments(2))
    assert len(list(watch(desk.url, 1, once=True))) == 1
    assert (tokens.paths("token"), count(Ticket)) == (2, 2)


def test_an_expired_token_is_renewed_before_it_is_sent(
    desk: OAuthMailbox, tokens: TokenServer, monkeypatch: pytest.MonkeyPatch
):
    desk.deliver(mail_with_attachments(1))
    list(watch(desk.url, 1, once=True))
    expire_token(desk, monkeypatch)
    desk.deliver(mail_with_attachments(2))
    list(watch(desk.url, 1, once=True))
    assert [path for path, _ in tokens.state.requests].count("/introspect") == 2, "no refused login"
    assert count(Ticket) == 2


def test_mails_wait_while_the_token_server_is_down(
    desk: OAuthMailbox, tokens: TokenServer, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("aura.mail.imap.MAX_BACKOFF", 0.1)
    desk.deliver(mail_with_attachments(1))
    fetched = watch(desk.url, every=0.05)
    assert next(fetched)[1].ticket_id == 1
    # Given an outage of the token server, of which Aura and Dovecot learn at the next login
    failures: list[str] = []
    tokens.state.reply = lambda path, form: failures.append(path) or ((503, {}) if len(failures) < 5 else None)  # type: ignore[func-returns-value]
    expire_token(desk, monkeypatch)
    desk.deliver(mail_with_attachments(2))
    assert next(fetched)[1].ticket_id == 2
    assert len(failures) >= 5


def test_a_login_of_a_person_opens_the_mailbox_until_it_is_deleted(
    desk: OAuthMailbox, tokens: TokenServer, run: Run, configure: Callable[..., Any]
):
    public = tokens.add_client(desk.user, public=True)
    configure(AURA_OAUTH_CLIENT_ID=public.id, AURA_OAUTH_CLIENT_SECRET="", AURA_OAUTH_DEVICE_URL=tokens.device_url)
    missing = run("mail", "fetch", "--once")
    assert (missing.code, "hint: `aura mail login` logs in" in missing.err) == (2, True)
    person = ThreadPoolExecutor(1).submit(enter_code, tokens)

    login = run("mail", "login")

    assert (login.code, login.out) == (0, "")
    assert person.result() in login.err
    assert "https://login.example/device" in login.err
    desk.deliver(mail_with_attachments())
    assert run("mail", "fetch", "--once").out.endswith(": ticket 1\n")
    doctor = {row["name"]: row for row in run("doctor", "--format", "json").json()}
    assert doctor["oauth"]["ok"]
    assert "by login of 20" in doctor["oauth"]["detail"]
    assert doctor["imap"]["ok"]
    assert run("mail", "logout").code == 0
    assert run("mail", "logout").code == 1
    token_source.cache_clear()  # another process
    assert "nobody has logged in" in run("mail", "fetch", "--once").err


def test_the_doctor_names_the_next_step(
    desk: OAuthMailbox, tokens: TokenServer, run: Run, configure: Callable[..., Any]
):
    def oauth() -> tuple[bool, str, str]:
        token_source.cache_clear()
        [row] = [row for row in json.loads(run("doctor", "--format", "json").out) if row["name"] == "oauth"]
        return row["ok"], row["detail"], row["fix"]

    ok, detail, fix = oauth()
    assert (ok, fix) == (True, "")
    assert detail == f"{desk.user} at custom: token valid for 60 minutes, by client credentials"
    configure(AURA_OAUTH_CLIENT_SECRET="hunter2")
    ok, detail, fix = oauth()
    assert (ok, "AURA_OAUTH_CLIENT_SECRET" in detail, "hunter2" in detail) == (False, True, False)
    configure(AURA_OAUTH_DEVICE_URL=tokens.device_url)
    assert oauth()[::2] == (False, "run `aura mail login`")
