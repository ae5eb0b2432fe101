"""The SMTP transport with access tokens, against a real SMTP server that asks nobody but the test about them."""

from __future__ import annotations

import base64
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from aiosmtpd.smtp import AuthResult

from aura.notifications import ChannelError
from aura.notifications.channels.email import EmailChannel
from aura.notifications.channels.registry import make_email
from aura.oauth import TokenRefused, TokenServerUnavailable, TokenSource
from aura.settings import SettingsError
from tests.unit.notifications.channels.test_email import SENDER, Mailbox, PrivatePort, message

CHALLENGE = '{"status":"401","schemes":"bearer"}'


class Desk(Mailbox):
    """A mailbox that is opened by the tokens of `valid`; `replies` holds what clients sent after a refusal."""

    def __init__(self) -> None:
        super().__init__()
        self.valid: set[str] = {"token-1"}
        self.users: list[str] = []
        self.logins: list[str] = []
        self.replies: list[bytes] = []
        self.refusal = "535 5.7.3 Authentication unsuccessful: hunter2"

    async def _authenticate(self, server: Any, arguments: list[str]) -> AuthResult:
        first = base64.b64decode(arguments[1]) if len(arguments) > 1 else await server.challenge_auth("")
        text = first.decode()
        token = text.partition("Bearer ")[2].rstrip("\x01")
        self.users.append(text.partition("\x01")[0])
        self.logins.append(token)
        if token in self.valid:
            return AuthResult(success=True, auth_data=token)
        await server.push("334 " + base64.b64encode(CHALLENGE.encode()).decode())
        self.replies.append(await server._reader.readline())
        await server.push(self.refusal)
        return AuthResult(success=False, handled=True)

    async def auth_XOAUTH2(self, server: Any, arguments: list[str]) -> AuthResult:  # aiosmtpd's name
        return await self._authenticate(server, arguments)

    async def auth_OAUTHBEARER(self, server: Any, arguments: list[str]) -> AuthResult:  # aiosmtpd's name
        return await self._authenticate(server, arguments)


class Grant:
    """Issues token-1, token-2 ... ."""

    name = "test"

    def __init__(self) -> None:
        self.fetched, self.lifetime = 0, 3600.0
        self.failure: Exception | None = None

    def fetch(self) -> tuple[str, object]:
        if self.failure is not None:
            raise self.failure
        self.fetched += 1
        return f"token-{self.fetched}", self.lifetime


Serve = Callable[..., tuple[Desk, int]]


@pytest.fixture
def serve() -> Iterator[Serve]:
    running: list[PrivatePort] = []

    def start(*excluded: str) -> tuple[Desk, int]:
        desk = Desk()
        options: dict[str, Any] = {"auth_require_tls": False, "auth_exclude_mechanism": ["LOGIN", "PLAIN", *excluded]}
        controller = PrivatePort(desk, hostname="127.0.0.1", port=0, **options)
        controller.start()
        running.append(controller)
        return desk, controller.port

    yield start
    for controller in running:
        controller.stop()


def channel(port: int, grant: Grant) -> EmailChannel:
    source = TokenSource(grant)
    return EmailChannel(f"smtp://desk%40example.com@127.0.0.1:{port}", SENDER, tokens=lambda user: source)


def refused(sender: EmailChannel) -> ChannelError:
    with pytest.raises(ChannelError) as caught:
        sender.send(message())
    return caught.value


@pytest.mark.parametrize(
    ("excluded", "user"), [("OAUTHBEARER", "user=desk@example.com"), ("XOAUTH2", "n,a=desk@example.com,")]
)
def test_a_mail_is_sent_with_the_mechanism_of_the_server(serve: Serve, excluded: str, user: str):
    desk, port = serve(excluded)
    channel(port, Grant()).send(message())
    assert (desk.users, desk.logins, len(desk.mails)) == ([user], ["token-1"], 1)


def test_a_cached_token_that_is_refused_is_renewed_once(serve: Serve):
    desk, port = serve()
    sender = channel(port, grant := Grant())
    sender.send(message())
    desk.valid = {"token-2"}
    # a connection that is open stays logged in
    sender.send(message())
    sender._idle.connection.close()
    sender.send(message())
    assert (desk.logins, len(desk.mails)) == (["token-1", "token-1", "token-2"], 3)
    desk.valid = set()
    sender._idle.connection.close()
    refused(sender)
    assert desk.logins[3:] == ["token-2", "token-3"]
    assert grant.fetched == 3


def test_a_new_token_that_is_refused_ends_the_attempt_with_the_reason(serve: Serve):
    desk, port = serve()
    desk.valid = set()
    error = refused(channel(port, Grant()))
    assert (error.permanent, error.in_doubt) == (False, False), "a person corrects it, and the mails go out"
    assert "desk@example.com (535 401)" in str(error)
    assert "SMTP AUTH" in str(error)
    assert "hunter2" not in str(error)
    assert "token-1" not in str(error)
    assert (desk.logins, desk.replies) == (["token-1"], [b"\r\n"])


def test_a_temporary_refusal_is_not_a_refused_token(serve: Serve):
    desk, port = serve()
    desk.valid, desk.refusal = set(), "454 4.7.0 Temporary authentication failure"
    sender = channel(port, grant := Grant())
    assert "temporarily (454)" in str(refused(sender))
    assert grant.fetched == 1


def test_a_connection_is_not_used_longer_than_its_token(serve: Serve):
    desk, port = serve()
    desk.valid = {"token-1", "token-2"}
    grant = Grant()
    sender = channel(port, grant)
    sender.send(message())
    sender.send(message())
    assert len({id(session) for session in desk.sessions}) == 1
    grant.lifetime = 0
    sender = channel(port, grant)
    desk.valid |= {"token-3"}
    sender.send(message())
    sender.send(message())
    assert desk.logins == ["token-1", "token-2", "token-3"]


@pytest.mark.parametrize(
    "failure", [TokenServerUnavailable("down", retry_after=17), TokenRefused("AURA_OAUTH_CLIENT_SECRET: expired")]
)
def test_without_a_token_no_mail_is_lost(serve: Serve, failure: Exception):
    desk, port = serve()
    grant = Grant()
    grant.failure = failure
    sender = channel(port, grant)
    error = refused(sender)
    assert (error.permanent, error.in_doubt, str(error)) == (False, False, str(failure))
    assert error.retry_after == (17 if isinstance(failure, TokenServerUnavailable) else None)
    grant.failure = None
    sender.send(message())
    assert len(desk.mails) == 1


def test_a_server_without_oauth_is_named(serve: Serve):
    desk, port = serve("XOAUTH2", "OAUTHBEARER")
    assert "AURA_SMTP_OAUTH" in str(refused(channel(port, Grant())))
    assert desk.logins == []


def test_a_token_never_crosses_the_network_in_the_clear(serve: Serve, monkeypatch: pytest.MonkeyPatch):
    desk, port = serve()
    real = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *rest, **more: real("127.0.0.1", *rest, **more))
    source = TokenSource(Grant())
    sender = EmailChannel(f"smtp://desk@mail.example.com:{port}", SENDER, tokens=lambda user: source)
    assert "STARTTLS" in str(refused(sender))
    assert desk.logins == []


def test_the_settings_choose_the_login(configure: Callable[..., Any]):
    url = "smtp://desk%40example.com@127.0.0.1:25"
    secret = {"AURA_OAUTH_CLIENT_SECRET": "s"}
    assert make_email(configure(SMTP_URL=url, AURA_SMTP_OAUTH="microsoft", **secret))._tokens is not None  # type: ignore[attr-defined]
    with pytest.raises(
        SettingsError, match="SMTP_URL: with AURA_SMTP_OAUTH=microsoft it must contain the mailbox and no"
    ):
        configure(SMTP_URL="smtp://desk:hunter2@127.0.0.1:25", AURA_SMTP_OAUTH="microsoft")
